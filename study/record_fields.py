"""What a record holds: the fields that the sweep and the analysis rely on, each with what may stand in it.

``check`` is asked of every record that is read. Fields that are not declared here may hold anything, as nobody reads them.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from study.experiments import NAME, TIERS
from study.metrics import METRICS

STATUSES = ("finished", "diverged", "failed")
LARGEST = 1e150  # of numbers: squares and products of such are numbers still
LARGEST_WHOLE = 2**53  # up to here every whole number is a float, too
DEEPEST = 20  # nesting of what is not declared
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,249}")
NUMERAL = re.compile(r"[0-9]{1,15}")

Check = Callable[[Any], None]  # raises Unfit

brief = reprlib.Repr()  # one line, however large the value
brief.maxlevel = 1


class Unfit(Exception):
    """A value that is not what belongs in its place; the path to it grows on the way out."""

    def __init__(self, wanted: str, value: Any):
        self.wanted, self.value = wanted, value
        self.path: list[str] = []

    def __str__(self) -> str:
        return f"{'.'.join(self.path) or 'the record'} must be {self.wanted}, and is {brief.repr(self.value)}"


def leaf(wanted: str, fits: Callable[[Any], Any]) -> Check:
    def check(value: Any) -> None:
        if not fits(value):
            raise Unfit(wanted, value)

    return check


def nullable(inner: Check) -> Check:
    def check(value: Any) -> None:
        if value is not None:
            inner(value)

    return check


def one_of(*words: str) -> Check:
    return leaf(f"one of {', '.join(words)}", lambda value: type(value) is str and value in words)


def undeclared(value: Any, depth: int = DEEPEST) -> None:
    if type(value) in (dict, list):
        if not depth:
            raise Unfit("less deeply nested", value)
        for item in value.values() if type(value) is dict else value:
            undeclared(item, depth - 1)


def mapping(fields: Mapping[str, Check], needed: Collection[str] = (), others: Check = undeclared) -> Check:
    """An object: ``fields`` where they are there, ``needed`` ones always, ``others`` under every further key."""

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise Unfit("an object", value)
        require(value, needed)
        key = ""
        try:
            for key, item in value.items():
                fields.get(key, others)(item)
        except Unfit as unfit:
            unfit.path.insert(0, brief.repr(key)[1:-1])
            raise

    return check


def require(value: Mapping[str, Any], needed: Collection[str]) -> None:
    if missing := [key for key in needed if key not in value]:
        raise Unfit(f"an object with {missing[0]}", value)


def by_numeral(inner: Check) -> Check:
    """An object whose keys are whole numbers."""
    values = mapping({}, others=inner)

    def check(value: Any) -> None:
        values(value)
        if wrong := [key for key in value if not NUMERAL.fullmatch(key)]:
            raise Unfit("an object whose keys are whole numbers", wrong[0])

    return check


def list_of(inner: Check) -> Check:
    def check(value: Any) -> None:
        if type(value) is not list:
            raise Unfit("a list", value)
        for at, item in enumerate(value):
            try:
                inner(item)
            except Unfit as unfit:
                unfit.path.insert(0, str(at))
                raise

    return check


def matrix(inner: Check, columns: int | None = None) -> Check:
    """One row at least, all equally long and none empty; ``columns`` long, where given."""
    rows = list_of(list_of(inner))

    def check(value: Any) -> None:
        rows(value)
        lengths = {len(row) for row in value}
        if len(lengths) != 1 or not max(lengths) or columns not in (None, *lengths):
            raise Unfit(f"rows of {columns or 'equally many'} values", value)

    return check


def alignment(value: Any) -> None:
    """A row for each token that was written, which may be none."""
    if value != []:
        matrix(number)(value)


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST


def is_whole(value: Any) -> bool:
    return type(value) is int and abs(value) <= LARGEST_WHOLE


text = leaf("text", lambda value: type(value) is str)
words = nullable(text)
flag = leaf("true or false", lambda value: type(value) is bool)
name = leaf("a name of letters, digits and _ . -", lambda value: type(value) is str and NAME.fullmatch(value))
run_name = leaf("a name of letters, digits and _ . + -", lambda value: type(value) is str and RUN_NAME.fullmatch(value))
number = leaf("a number", is_number)
score = leaf("a number or null", lambda value: value is None or is_number(value))
share = leaf("a share or null", lambda value: value is None or (is_number(value) and -1e-9 <= value <= 1 + 1e-9))
work = leaf("a number, 0 or more", lambda value: is_number(value) and value >= 0)
amount = leaf("a number, 0 or more, or null", lambda value: value is None or (is_number(value) and value >= 0))
whole = leaf("a whole number", is_whole)
count = leaf("a whole number, 0 or more", lambda value: is_whole(value) and value >= 0)
length = nullable(count)
counts = list_of(count)
pair = leaf("two whole numbers", lambda value: type(value) is list and len(value) == 2 and all(map(is_whole, value)))


def hashes(value: Any) -> None:
    """Of a file, or of several: by split, or in a list."""
    if type(value) is dict:
        mapping({}, others=hashes)(value)
    elif type(value) is list:
        list_of(text)(value)
    else:
        text(value)


def glimpses(value: Any) -> None:
    list_of(mapping({"image": matrix(count), "path": matrix(number, columns=2)}, ("image", "path")))(value)
    if len({len(sample["image"]) for sample in value}) > 1:
        raise Unfit("images of one height", value)


SCORES = mapping(
    {
        **dict.fromkeys(("accuracy", "token_accuracy", "exact", "alignment"), share),
        **dict.fromkeys(("items", "characters", "tokens"), count),
        **dict.fromkeys(("seconds", "bytes", "multiply_adds", "counted_multiply_adds", "critical_path", "hops"), amount),
    },
    others=score,
)
PLAN = {
    "experiment": nullable(name),
    "tier": one_of(*TIERS),
    "arm": nullable(name),
    "task": nullable(name),
    "role": name,
    "rate": leaf("a number above 0, or null", lambda value: value is None or (is_number(value) and value > 0)),
    "seed": whole,
    "digest": nullable(name),
}
CONFIG = {
    "measure": one_of("training", "cost"),
    "task": mapping({"length": length, "max_length": length}),
    "model": mapping({"width": count, "layers": count, "match": text}, ("width", "layers")),
    "train": mapping({"batch": count, "steps": count}, ("batch", "steps")),
    "cost": mapping({"lengths": counts, "widths": counts, "positions": counts, "sizes": counts}),
}
PROVENANCE = {
    **dict.fromkeys(("revision", "device", "device_name", "dtype", "attention_backend", "system", "started"), words),
    "clean": nullable(flag),
    "threads": count,
    "versions": mapping({}, others=text),
    "data": mapping({"sha256": hashes}),
}
WRITTEN = {
    "samples": list_of(
        mapping(
            {"source": list_of(text), "output": list_of(text), "weights": nullable(alignment)},
            ("source", "output", "weights"),
        )
    ),
    "statistics": matrix(count, columns=10),
    "shuffled": mapping({}, others=score),
    "glimpses": glimpses,
}
EXAMPLE = mapping({"map": matrix(number), "edges": list_of(pair)}, ("map", "edges"))

FIELDS = {
    "schema": whole,
    "id": name,
    "name": run_name,
    "status": one_of(*STATUSES),
    "error": words,
    "command": words,
    "plan": mapping(PLAN, PLAN),
    "claims": list_of(text),
    "kind": name,  # of its task
    "config": mapping(CONFIG, ("task", "model", "train")),
    "provenance": mapping(PROVENANCE, ("data",)),
    # split -> score -> number; split -> axis -> value -> score -> number
    "metrics": mapping({}, others=SCORES),
    "slices": mapping({}, others=mapping({}, others=by_numeral(SCORES))),
    "notes": mapping({}, others=text),
    "curve": list_of(mapping({"step": count}, ("step",), others=score)),
    "metric": one_of(*METRICS),
    "decoded": list_of(name),
    "solved_at": score,
    "chance": score,
    "heuristic": nullable(mapping({"name": text, "score": score}, ("name", "score"))),
    "steps": count,
    "steps_to_90": length,
    "steps_to_solve": length,
    "parameters": mapping({}, others=count),
    "reach": length,
    "tokens_seen": count,
    **dict.fromkeys(("ffn_width", "hidden", "peak_memory_bytes"), length),
    **dict.fromkeys(("multiply_adds_per_token", "multiply_adds_per_answer"), work),
    **dict.fromkeys(("seconds", "train_seconds", "step_seconds"), amount),
    "diagnostics": mapping({}, others=mapping({}, others=score)),
    "structure": mapping({"example": nullable(EXAMPLE), "head": counts}, others=score),
    "written": mapping({}, others=mapping(WRITTEN)),
}
ALWAYS = (
    "id",
    "name",
    "status",
    "error",
    "plan",
    "claims",
    "kind",
    "config",
    "provenance",
    "metrics",
    "slices",
    "notes",
    "curve",
)
FINISHED = (*ALWAYS, "metric", "seconds")
TRAINED = (
    *FINISHED,
    "solved_at",
    "chance",
    "heuristic",
    "steps",
    "steps_to_90",
    "steps_to_solve",
    "parameters",
    "peak_memory_bytes",
    "tokens_seen",
    "multiply_adds_per_token",
)
EVERY = mapping(FIELDS, ALWAYS)


def check(record: Any) -> None:
    """Raises ``Unfit`` naming a field, what belongs there, and what is there."""
    EVERY(record)
    if record["status"] == "finished":
        require(record, TRAINED if record["config"].get("measure", "training") == "training" else FINISHED)
