"""Reads ``claims.yaml``: claims, controls and contrasts as typed data; a misspelt key is refused, not ignored."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from analysis.values import CONDITION, Slice
from study.metrics import METRICS, Metric

FILE = Path(__file__).with_name("claims.yaml")
RULES = ("better", "equivalent", "solves", "slope", "interaction", "reach", "at_least", "sooner", "by_construction")
OVER = ("verdict_runs", "all_runs")
READ = {"V": "read in the original", "S": "read in a secondary transcription", "V/S": "read in both"}


@dataclass(frozen=True)
class Term:
    """One side of a contrast: the score of an arm, or a number to hold it against."""

    arm: str | None = None
    best_of: tuple[str, ...] = ()
    task: str | None = None
    metric: str | None = None
    slice: Slice | None = None
    value: float | None = None
    chance: bool = False

    def __str__(self) -> str:
        if self.chance:
            return "chance"
        if self.value is not None:
            return f"{self.value:g}"
        text = self.arm or f"best of {', '.join(self.best_of)}"
        parts = [self.task, self.metric, *(f"{axis} {' '.join(c)}" for axis, c in (self.slice or {}).items())]
        return text + "".join(f", {part}" for part in parts if part)


@dataclass(frozen=True)
class Contrast:
    """One comparison. ``task`` names alternatives: the first one that the tier has is meant."""

    name: str
    statement: str
    rule: str
    experiment: str = ""
    task: tuple[str, ...] = ()
    a: Term = Term()
    b: Term = Term()
    c: Term = Term()
    d: Term = Term()
    metric: str | None = None
    over: str = "verdict_runs"
    slice: Slice | None = None
    axis: str | None = None
    points: tuple[tuple[float, Term], ...] = ()
    margin: float | None = None
    floor: float | None = None  # below it on average, side a has not learned enough to be compared
    floor_metric: str | None = None  # what the floor is of, where not of the contrast's own metric
    tiers: tuple[str, ...] = ()
    counts: bool = True
    node: str = ""
    holds: bool = True
    gates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    name: str
    zh: str
    en: str
    topic: str
    origin: str
    expect: str
    published: tuple[Mapping[str, str], ...]
    contrasts: tuple[Contrast, ...]
    nothing_to_run: str = ""  # why no measurement can decide it


@dataclass(frozen=True)
class Claims:
    claims: Mapping[str, Claim]
    controls: tuple[Contrast, ...]
    metrics: Mapping[str, Metric]
    corrections: tuple[Mapping[str, Any], ...]
    published_results: tuple[Mapping[str, Any], ...]


def read(path: Path = FILE) -> Claims:
    """Raises ``ValueError`` naming the entry and the keys that would do."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is no YAML: {' '.join(str(error).split())}") from None
    _known(data, ("controls", "claims", "corrections", "published_results"), path.name)
    claims = {}
    for name, node in data["claims"].items():
        keys = ("zh", "en", "topic", "origin", "published", "expect", "contrasts", "nothing_to_run")
        _known(node, keys, name)
        for entry in node["published"]:
            if entry.get("read") not in READ:
                raise ValueError(f"{path.name}: {name}: published needs read: {' | '.join(READ)}")
        contrasts = tuple(_contrast(key, item, name) for key, item in node.get("contrasts", {}).items())
        fixed = {key: node[key] for key in keys if key in node and key not in ("published", "contrasts")}
        claims[name] = Claim(name, **fixed, published=tuple(node["published"]), contrasts=contrasts)
    return Claims(
        claims=claims,
        controls=tuple(_contrast(key, item, "controls") for key, item in data.get("controls", {}).items()),
        metrics=METRICS,
        corrections=tuple(data.get("corrections", ())),
        published_results=tuple(data.get("published_results", ())),
    )


def node_exists(node: str, root: Path) -> bool:
    """Whether the test that a ``by_construction`` contrast names is there."""
    path, *names = node.split("[")[0].split("::")
    if not names or not (root / path).is_file():
        return False
    body: list[ast.stmt] = ast.parse((root / path).read_text(encoding="utf-8")).body
    for name in names:
        found = [item for item in body if isinstance(item, ast.FunctionDef | ast.ClassDef) and item.name == name]
        if not found:
            return False
        body = found[0].body
    return True


def _contrast(name: str, node: Mapping[str, Any], owner: str) -> Contrast:
    where = f"{owner}.{name}"
    _known(node, tuple(Contrast.__dataclass_fields__), where)
    if node.get("rule") not in RULES:
        raise ValueError(f"{where}: rule {node.get('rule')!r}; known are {', '.join(RULES)}")
    if node.get("over", OVER[0]) not in OVER:
        raise ValueError(f"{where}: over {node['over']!r}; known are {', '.join(OVER)}")
    values = {**node, "name": name}
    for key in ("a", "b", "c", "d"):
        if key in values:
            values[key] = _term(values[key], f"{where}.{key}")
    if isinstance(sliced := values.pop("slice", None), str):
        values["axis"] = sliced
    elif sliced:
        values["slice"] = _slice(sliced, where)
    if "task" in values:
        values["task"] = (values["task"],) if isinstance(values["task"], str) else tuple(values["task"])
    points = values.pop("points", ())
    values["points"] = tuple((float(p["x"]), _term({k: v for k, v in p.items() if k != "x"}, where)) for p in points)
    for key in ("tiers", "gates"):
        values[key] = tuple(values.get(key, ()))
    if values["rule"] in ("slope", "reach") and not (values.get("axis") or points):
        raise ValueError(f"{where}: rule {values['rule']} needs slice: <axis>, such as slice: distance")
    return Contrast(**values)


def _term(node: Any, where: str) -> Term:
    if node == "chance":
        return Term(chance=True)
    if isinstance(node, str):
        return Term(arm=node)
    _known(node, tuple(Term.__dataclass_fields__), where)
    values = dict(node)
    if "best_of" in values:
        values["best_of"] = tuple(values["best_of"])
    if "slice" in values:
        values["slice"] = _slice(values["slice"], where)
    return Term(**values)


def _slice(node: Mapping[str, Any], where: str) -> Slice:
    sliced = {axis: [c] if isinstance(c, str) else list(c) for axis, c in node.items()}
    for conditions in sliced.values():
        for condition in conditions:
            if not CONDITION.fullmatch(str(condition)):
                raise ValueError(f'{where}: slice condition {condition!r}; say it as "<= 8" or "> reach"')
    return sliced


def _known(node: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    if unknown := [key for key in node if key not in keys]:
        raise ValueError(f"{where}: unknown {', '.join(map(repr, unknown))}; known are {', '.join(keys)}")
