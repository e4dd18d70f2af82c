"""The table of all runs as the page's script reads it: a column per config key and result, each written as shortly as can be.

A column's values are one of ``{"of": values, "runs": [index, times, ...]}``, ``{"of": values, "at": [index, ...]}`` and, for
numbers, ``{"is": "0.5,,2"}``. An index of -1 and an empty number are what a run has not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby
from typing import Any

from analysis.results import RUN, Results, columns
from analysis.values import collapsed, ended
from study.metrics import METRICS
from study.records import Record

DIGITS = 5  # of a number on the page; records keep them all
KINDS = ("run", "score", "state", "setting", "fact")  # in the order of the table: what a run is, its scores, how it went, ...
ALIKE = ("experiment", "tier", "task", "arm", "role", "rate")  # runs with these are asked for alike but for the seed
FACTS_LEFT_OUT = ("id", "weights_sha256", "provenance.data", "provenance.versions", "resumed")
NO_SETTINGS = ("retry_failed", "sweep", "tracking", "trainer", "translate", "runs", "data")  # where and how, not what is run


def table(records: Sequence[Record], studies: Iterable[Results]) -> list[dict[str, Any]]:
    """Columns over ``records``: name, kind (one of ``KINDS``), type, whether runs differ in it, its values, and ``bounds``."""
    found: dict[str, dict[int, Any]] = {}
    kinds: dict[str, str] = {}
    states = _states(studies)
    for index, record in enumerate(records):
        for kind, cells in _cells(record, states.get(record["name"], {})).items():
            for name, value in cells.items():
                if value is not None:
                    kinds.setdefault(name, kind)
                    found.setdefault(name, {})[index] = value
    _fill(records, states, [cells for name, cells in found.items() if kinds[name] == "setting"])
    if found.get("config.task") == found.get("task"):  # single runs: it is said already
        found.pop("config.task", None)
    names = sorted(found, key=lambda name: KINDS.index(kinds[name]))
    return [{"name": name, "kind": kinds[name], **_column(found[name], len(records)), **bounds(name)} for name in names]


def bounds(name: str) -> dict[str, list[float | None]]:
    """The ends of a score's scale, None for none, where the study knows them: no interval of a mean goes beyond."""
    metric = METRICS.get(name.rpartition(".")[2])
    return {} if metric is None else {"bounds": [end if math.isfinite(end) else None for end in metric.bounds]}


def front_coded(names: Sequence[str]) -> list[Any]:
    """Names, each as how many characters it shares with the one before, and the rest."""
    coded: list[Any] = []
    before = ""
    for name in names:
        shared = next((i for i, (a, b) in enumerate(zip(name, before, strict=False)) if a != b), min(len(name), len(before)))
        coded += [shared, name[shared:]]
        before = name
    return coded


def _states(studies: Iterable[Results]) -> dict[str, dict[str, str]]:
    """What only a run's cell tells, by its name: whether it is planned and whether it collapsed."""
    states: dict[str, dict[str, str]] = {}
    for results in studies:
        states |= {record["name"]: {"planned": "yes"} for record in results.records}
        states |= {record["name"]: {"planned": "not any more"} for record in results.stale}
        for (_, task), seeds in results.verdict.items():
            if results.is_trained(task):
                for record in collapsed(seeds.values(), f"test.{results.experiment.tasks[task].metric}"):
                    states[record["name"]]["collapsed"] = "collapsed"
    return states


def _fill(records: Sequence[Record], states: Mapping[str, Mapping[str, str]], settings: Iterable[dict[int, Any]]) -> None:
    """Gives a run whose record is older than a key the value that all others of its cell, role and rate have.

    Planned runs are asked for alike there but for the seed, so it was made with that value.
    """
    alike: dict[tuple, list[int]] = {}
    for index, record in enumerate(records):
        if states.get(record["name"], {}).get("planned") == "yes":
            alike.setdefault(tuple(record["plan"][key] for key in ALIKE), []).append(index)
    for values in settings:
        for group in alike.values():
            known = [values[index] for index in group if index in values]
            if known and all(value == known[0] for value in known):
                values.update(dict.fromkeys(group, known[0]))


def _cells(record: Record, found: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The cells of a run by kind. A setting goes by its own key, without ``config.``, unless that is a column already.

    ``found``: what only its cell tells of its state.
    """
    scores, facts, config = columns(record)
    settings = {key.removeprefix("config."): value for key, value in config.items()}
    run = {name: scores.pop(name) for name in RUN}
    del run["name"]  # stands apart, shorter
    run["task"] = run["task"] or settings.get("task")
    run["rate"] = settings.pop("train.rate", None) if run["rate"] is None else run["rate"]
    state = {"status": run.pop("status"), "ended": ended(record), **{key: found.get(key) for key in ("collapsed", "planned")}}
    facts["kind"] = run.pop("kind")
    known = {"config.task": settings.pop("task", None)}
    for key, value in settings.items():
        if key.split(".")[0] not in NO_SETTINGS and key not in (*run, *state) and key != "train.rate":
            known[key] = value
    kept = {key: value for key, value in facts.items() if not key.startswith(FACTS_LEFT_OUT)}
    return {"run": run, "score": scores, "state": state, "setting": known, "fact": kept}


def _column(cells: Mapping[int, Any], count: int) -> dict[str, Any]:
    """``cells``: run -> value, never None."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in cells.values())
    as_read = _number if numbers else _text
    values = {index: as_read(value) for index, value in cells.items()}
    distinct = list(dict.fromkeys(values.values()))
    place = {value: at for at, value in enumerate(distinct)}
    at = [place[values[index]] if index in values else -1 for index in range(count)]
    runs = list(chain.from_iterable((index, len(list(same))) for index, same in groupby(at)))
    ways: list[dict[str, Any]] = [{"of": distinct, "runs": runs}, {"of": distinct, "at": at}]
    if numbers:
        ways.append({"is": ",".join(f"{values[index]!r}" if index in values else "" for index in range(count))})
    shortest = min(ways, key=lambda way: len(json.dumps(way, ensure_ascii=False, separators=(",", ":"))))
    return {"type": "number" if numbers else "text", "differs": len(set(at)) > 1, **shortest}


def _number(value: float) -> float | int:
    if isinstance(value, int) or not math.isfinite(value):
        return value
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
