"""A number of a record: ``split.metric``, a slice of it, or a field of the record."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from study.metrics import METRICS
from study.records import Record

CONDITION = re.compile(r"\s*(<=|>=|==|<|>)\s*(?:(reach)|([0-9.]+)(x trained)?)\s*")
COMPARE = {"<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt}
MOST_NATS = 700  # exp overflows a float beyond

Slice = Mapping[str, Sequence[str]]  # axis -> conditions that must all hold


def measure(record: Record, path: str, sliced: Slice | None = None) -> float | None:
    """A score of a finished run: ``split.metric`` (of the slices selected, weighted by items) or a field of the record.

    A field may lie deeper, as ``diagnostics.start.gradient_ratio``. None where it is not there or no finite number.
    ``solved`` is 1 or 0, on the test split, and 0 for a run that diverged; ``converged`` the same on the validation
    split, which tuning runs have as well, at any evaluation. ``best.metric`` is the best evaluation on the validation split
    during training, as early stopping would pick it; ``gap.metric`` is test less train. ``parameters`` are all of them,
    embeddings included.
    """
    if path in ("solved", "converged"):
        if record["status"] == "diverged":
            return 0.0
        if path == "converged":
            return None if record.get("solved_at") is None else float(record["steps_to_solve"] is not None)
        reached, enough = measure(record, "test.accuracy"), _number(record.get("solved_at"))
        return None if reached is None or enough is None else float(reached >= enough)
    if record["status"] != "finished":
        return None
    split, _, name = path.rpartition(".")
    if path == "parameters":
        return _number(sum(record["parameters"].values()))
    if not split:
        return _number(record.get(name))
    if split == "best":
        evaluations = [value for row in record["curve"] if (value := _number(row.get(f"validation_{name}"))) is not None]
        return (min if METRICS[name].better == "lower" else max)(evaluations, default=None)
    if split == "gap":
        test, train = measure(record, f"test.{name}", sliced), measure(record, f"train.{name}", sliced)
        return None if test is None or train is None else test - train
    if not sliced:
        scores = record["metrics"].get(split) or _deeper(record, split)
        value = scores.get(name)
        loss = _number(scores.get("loss"))
        if name == "perplexity" and value is None and loss is not None and loss < MOST_NATS:
            value = math.exp(loss)
        return _number(value)
    if len(sliced) != 1:
        raise ValueError(f"one slice at a time, not {', '.join(sliced)}: records hold no slices of slices")
    [(axis, conditions)] = sliced.items()
    total = items = 0.0
    for value, scores in record.get("slices", {}).get(split, {}).get(axis, {}).items():
        score = _number(scores.get(name))
        trained = trained_length(record) or 0
        if score is not None and selects(conditions, float(value), record.get("reach"), trained):
            weight = counted(name, scores)
            total += score * weight
            items += weight
    return total / items if items else None


def selects(conditions: Sequence[str], value: float, reach: int | None, trained: int = 0) -> bool:
    """Whether a slice's value meets all conditions; ``reach`` of None is without bound, ``trained`` the training length."""
    for condition in conditions:
        sign, at_reach, number, times = CONDITION.fullmatch(condition).groups()  # type: ignore[union-attr]
        if at_reach:
            bound = float("inf") if reach is None else float(reach)
        else:
            bound = float(number) * (trained if times else 1)
        if not COMPARE[sign](value, bound):
            return False
    return True


def trained_length(record: Record) -> int | None:
    """The longest that a run was trained on, in what its task counts lengths in."""
    task = record.get("config", {}).get("task", {})
    return task.get("max_length") or task.get("length")


def revisions(records: Iterable[Record]) -> str:
    """Short git revisions; + marks a tree with changes that no commit holds."""
    known = [source for record in records if (source := record["provenance"]).get("revision")]
    return joined(source["revision"][:8] + ("" if source.get("clean") else "+") for source in known)


def joined(values: Iterable[Any]) -> str:
    """Each once, in order."""
    return "/".join(str(value) for value in sorted(set(values) - {None}))


def counted(name: str, scores: Mapping[str, Any]) -> int:
    """How many answers a score is the mean of."""
    key = {"bits_per_character": "characters", "token_accuracy": "tokens"}.get(name, "items")
    return scores.get(key, scores.get("items", 1))


def _deeper(record: Record, path: str) -> Mapping[str, Any]:
    node: Any = record
    for key in path.split("."):
        node = node.get(key) or {}
    return node


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None
