"""A number of a record: ``split.metric``, a slice of it, or a field of the record."""

from __future__ import annotations

import math
import operator
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from study import parts
from study.declarations import TaskVariant
from study.metrics import METRICS
from study.records import Record

CONDITION = re.compile(r"\s*(<=|>=|==|<|>)\s*(?:(reach)|([0-9.]+)(x trained)?)\s*")
COMPARE = {"<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt}
MOST_NATS = 700  # exp overflows a float beyond
SCORED = ("test", "out", "validation", "best")  # splits on which a trained model is scored
FAR = 0.2  # of a share: how far under its cell's median a run has collapsed
QUARTER = 0.25  # the same of any other score, of the way from chance to the median
SOLVED, FLAT, IMPROVING = "solved", "flat", "still improving"

Slice = Mapping[str, Sequence[str]]  # axis -> conditions that must all hold


def measure(record: Record, path: str, sliced: Slice | None = None) -> float | None:
    """A score of a finished run: ``split.metric`` (of the slices selected, weighted by items) or a field of the record.

    A field may lie deeper, as ``diagnostics.start.gradient_ratio``. None where it is not there or no finite number.
    ``solved`` is 1 or 0, on the test split, and 0 for a run that diverged. ``best.metric`` is the best evaluation on the
    validation split during training, as early stopping would pick it; ``gap.metric`` is test less train. ``parameters`` are all
    of them, embeddings included.
    """
    if path == "solved":
        if record["status"] == "diverged":
            return 0.0
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


def ended(record: Record, margin: float | None = None) -> str:
    """How a training ended, by its validation scores: solved, flat or still improving; else its status; empty if unknown.

    Flat: in the last third of its steps the best score so far gained no more than the margin (else the metric's).
    """
    if record["status"] != "finished":
        return record["status"]
    if record.get("steps_to_solve") is not None:
        return SOLVED
    if (gained := late_gain(record)) is None:
        return ""
    return IMPROVING if gained > (METRICS[record["metric"]].margin if margin is None else margin) else FLAT


def late_gain(record: Record) -> float | None:
    """What the best validation score so far gained in the last third of the steps; None without scores before it."""
    evaluations = _evaluations(record)
    if not evaluations or 3 * evaluations[0][0] > 2 * evaluations[-1][0]:
        return None
    best = list(accumulate((score for _, score in evaluations), max))
    return best[-1] - float(np.interp(2 / 3 * evaluations[-1][0], [step for step, _ in evaluations], best))


def ended_on(record: Record, task: TaskVariant) -> str:
    """How it ended by its task's margin, if that is told in what the run is validated by: no BLEU of a share of tokens."""
    return ended(record, task.margin if record.get("metric") == task.metric else None)


def endings(records: Iterable[Record], task: TaskVariant) -> str:
    """How many ended how, such as "3 solved, 1 flat"."""
    counts = Counter(word for record in records if (word := ended_on(record, task)))
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))


def collapsed(records: Iterable[Record], path: str) -> list[Record]:
    """Runs of one cell that lie far under its median, or that had solved their task and lost it again."""
    scored = [(record, value) for record in records if (value := measure(record, path)) is not None]
    if not scored:
        return []
    metric = METRICS[path.rpartition(".")[2]]
    median = statistics.median(value for _, value in scored)
    known = [_number(record.get("chance")) for record, _ in scored if record.get("metric") == metric.name]
    far = FAR if metric.percent else QUARTER * abs(median - (known[0] if known and known[0] is not None else 0.0))
    return [record for record, value in scored if metric.sign * (median - value) > far or _lost_again(record)]


def _lost_again(record: Record) -> bool:
    bar, evaluations = _number(record.get("solved_at")), _evaluations(record)
    if bar is None or not evaluations:
        return False
    return max(score for _, score in evaluations) >= bar > evaluations[-1][1] + METRICS[record["metric"]].margin


def _evaluations(record: Record) -> list[tuple[int, float]]:
    """(step, validation score), oriented: more is better, and ratios are logarithms."""
    metric = METRICS.get(record.get("metric", ""))
    if metric is None:
        return []
    known = [(row["step"], _number(row.get(f"validation_{metric.name}"))) for row in record["curve"]]
    scores = [(step, score) for step, score in known if score is not None and (score > 0 or not metric.relative)]
    return [(step, metric.sign * (math.log(score) if metric.relative else score)) for step, score in scores]


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


def layers(record: Record) -> int | None:
    """Of a run's model; None where its architecture has no use for ``model.layers``, or is none of the study's."""
    config = record["config"]
    name = config.get("architecture", {"name": "encoder"})["name"]  # the oldest records do not say it
    has = name in parts.classes("architecture") and "layers" in parts.asked("architecture", name)
    return config["model"]["layers"] if has else None


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
