"""Reads ``claims/``: a file per claim, and beside them controls, corrections and published results.

A claim's file has these keys; a misspelt one is refused::

    zh: the notes' own wording
    en: What it says.
    topic: what it is about, for grouping
    origin: where in the notes it stands
    published: [{figure: a figure from the literature, source: ..., read: V | S | V/S}]  # in the original, or transcribed
    expect: what these figures suggest
    nothing_to_run: why no measurement can decide it  # if so
    contrasts:
      wins:
        statement: What is so if the contrast is supported.
        part: recall from afar  # the part of the claim that it decides; without this key it is shown beside the verdict
        better: {experiment: distance, task: recall, a: attention, b: lstm}  # a rule with its fields, see analysis/rules
      wins_128:
        statement: It is so in 128 tokens, too.
        repeats: wins  # the same contrast at another size: says whether that one is stable
        better: {experiment: distance, task: recall_128, a: attention, b: lstm}

A claim that has contrasts has one to four parts, each decided by one contrast.

Contrasts that differ in a few words are written once, for each of several cases or combinations of them (the last varies
fastest). ``<case>`` stands for a case's name and ``<case.words>`` for its words, or for what else a case has to say::

    wins_<task>_<other>:
      for_each:
        task: {recall: recall, near: {words: recall of what is near, margin: 0.05}}
        other: {lstm: an LSTM, gru: a GRU}
      statement: At <task.words>, attention is better than <other.words>.
      better: {experiment: distance, task: <task>, a: attention, b: <other>}

``controls.yaml`` has contrasts that must be supported before any contrast on the tasks in ``gates``, or by the measures in
``gates_metrics``, such as ``[heads.apart]``, is decided;
``corrections.yaml`` says where the notes are mistaken; ``published_results.yaml`` has figures to compare with an experiment's
table, each of a recipe of its own and so never mixed into it; ``published_directions.yaml`` is read by ``directions``.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from analysis import rules
from analysis.rules.base import Rule
from analysis.rules.terms import refuse_unknown
from study import yamls

FOLDER = Path(__file__).with_name("claims")
READ = {"V": "read in the original", "S": "read in a secondary transcription", "V/S": "read in both"}
MOST_PARTS = 4
GATES = ("gates", "gates_metrics")  # keys of a control, beside its contrast
PLACE = re.compile(r"<(\w+)(?:\.(\w+))?>")


@dataclass(frozen=True)
class Claim:
    name: str
    zh: str
    en: str
    topic: str
    origin: str
    expect: str
    published: tuple[Mapping[str, str], ...]
    contrasts: tuple[Rule, ...] = ()
    nothing_to_run: str = ""


@dataclass(frozen=True)
class Control:
    contrast: Rule
    gates: tuple[str, ...] = ()  # tasks
    gates_metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claims:
    claims: Mapping[str, Claim]
    controls: tuple[Control, ...] = ()
    corrections: tuple[Mapping[str, Any], ...] = ()
    published_results: tuple[Mapping[str, Any], ...] = ()
    published_directions: tuple[Mapping[str, Any], ...] = ()


def read(folder: Path = FOLDER) -> Claims:
    """Raises ``ValueError`` naming the entry and the keys allowed."""
    paths = sorted(folder.glob("C[0-9]*.yaml"), key=lambda path: (len(path.name), path.name))
    if not paths:
        raise ValueError(f"{folder}: no claims (C1.yaml and so on) there")
    return Claims(
        claims={path.stem: _claim(path) for path in paths},
        controls=tuple(_controls(folder / "controls.yaml")),
        corrections=tuple(_load(folder / "corrections.yaml") or ()),
        published_results=tuple(_load(folder / "published_results.yaml") or ()),
        published_directions=tuple(_load(folder / "published_directions.yaml") or ()),
    )


def _claim(path: Path) -> Claim:
    try:
        node = _load(path)
        refuse_unknown(node, [field.name for field in fields(Claim) if field.name != "name"])
        for entry in node["published"]:
            if entry.get("read") not in READ:
                raise ValueError(f"published needs read: {' | '.join(READ)}")
        contrasts = tuple(_contrasts(node.get("contrasts", {})))
        _refuse_wrong_parts(contrasts)
        return Claim(**{**node, "name": path.stem, "published": tuple(node["published"]), "contrasts": contrasts})
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path.name}: {error}") from None


def _refuse_wrong_parts(contrasts: Sequence[Rule]) -> None:
    names = Counter(contrast.name for contrast in contrasts)
    if same := [name for name, times in names.items() if times > 1]:
        raise ValueError(f"two contrasts are named {same[0]!r}")
    parts = {contrast.name: contrast.part for contrast in contrasts if contrast.part}
    if contrasts and not 1 <= len(parts) <= MOST_PARTS:
        raise ValueError(f"{len(parts)} contrasts have the key part; a claim has 1 to {MOST_PARTS} parts")
    if twice := [part for part, times in Counter(parts.values()).items() if times > 1]:
        raise ValueError(f"two contrasts decide the part {twice[0]!r}; give each part one")
    for contrast in contrasts:
        if contrast.repeats and (contrast.part or contrast.repeats not in parts):
            raise ValueError(
                f"{contrast.name} repeats {contrast.repeats!r}; name a contrast with a part, and give it no part itself"
            )


def contrasts(nodes: Mapping[str, Any]) -> dict[str, Rule]:
    """By name, from what stands under ``contrasts:``, or in the file of controls."""
    return {each.name: each for each in _contrasts({name: _ungated(node) for name, node in nodes.items()})}


def _ungated(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in GATES}


def _controls(path: Path) -> Iterator[Control]:
    for name, node in (_load(path) or {}).items():
        gates = {key: tuple(node[key]) for key in GATES if key in node}
        yield Control(rules.read(name, _ungated(node)), **gates)


def _contrasts(nodes: Mapping[str, Any]) -> Iterator[Rule]:
    for name, node in nodes.items():
        rest = {key: value for key, value in node.items() if key != "for_each"}
        cases = node.get("for_each", {})
        for combination in itertools.product(*map(_cases, cases.values())):
            words = dict(zip(cases, combination, strict=True))
            yield rules.read(str(_filled(name, words)), _filled(rest, words) if words else rest)


def _cases(several: Mapping[Any, Any] | list[Any]) -> list[Mapping[str, Any]]:
    """What each case has to say, its name under the empty key."""
    named = several.items() if isinstance(several, Mapping) else [(name, {}) for name in several]
    return [{"": name, **(said if isinstance(said, Mapping) else {"words": said})} for name, said in named]


def _filled(node: Any, words: Mapping[str, Mapping[str, Any]]) -> Any:
    """A case's words in their places; where a text is a place and nothing else, what stands there as it is."""
    if isinstance(node, Mapping):
        return {key: _filled(value, words) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, words) for value in node]
    if not isinstance(node, str):
        return node

    def said(place: re.Match[str]) -> Any:
        case, key = place[1], place[2] or ""
        if key not in words.get(case, ()):
            raise ValueError(f"{place[0]} is said by no case of for_each")
        return words[case][key]

    alone = PLACE.fullmatch(node)
    return said(alone) if alone else PLACE.sub(lambda place: str(said(place)), node)


def _load(path: Path) -> Any:
    return yamls.read(path) if path.is_file() else None
