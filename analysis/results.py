"""Records matched to a declaration: what is there, missing or stale, and which learning rates were chosen.

Rates and arms are chosen on validation scores of tuning seeds only; what is reported comes from the verdict seeds.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import load
from study.choosing import Choice
from study.declarations import Cell
from study.experiments import Experiment, PlannedRun
from study.metrics import METRICS
from study.records import Record

RUN = ("name", "experiment", "tier", "task", "arm", "role", "rate", "seed", "status", "kind")  # a frame's first columns
NO_COLUMN = ("config", "metrics", "plan", "slices", "curve", "written", "claims", "command", "checksum", "schema")


class Results:
    """One experiment at one tier. Records keep their status: a diverged or failed run has its place in its cell."""

    def __init__(self, experiment: Experiment, tier: str, records: Iterable[Record]):
        self.experiment = experiment
        self.tier = tier
        self.choices: Mapping[Cell, Choice] = {}
        self.tuning: dict[Cell, list[Record]] = {}
        self.verdict: dict[Cell, dict[int, Record]] = {}
        self.planned: list[PlannedRun] = []
        self.missing: list[PlannedRun] = []

        own = [record for record in records if record["plan"]["experiment"] == experiment.name]
        self._by_run = {_key(record): record for record in own}
        sizes = experiment.sizes(tier)
        # cells with runs on further seeds: of those all are planned
        self.further: set[Cell] = {
            cell_of(r) for r in own if r["plan"]["role"] == "verdict" and r["plan"]["seed"] in sizes.further_seeds
        }

        for phase in experiment.phases(tier, self.record_of, self.further):
            self.choices = phase.choices
            self.planned += phase.runs
            for run in phase.runs:
                record = self.record_of(run)
                if record is None:
                    self.missing.append(run)
                elif run.role == "tuning":
                    self.tuning.setdefault(run.cell, []).append(record)
                else:
                    self.verdict.setdefault(run.cell, {})[run.seed] = record
        # cells whose verdict runs can't be planned yet
        self.untuned = [cell for cell in experiment.cells(tier) if cell not in self.choices and self.is_trained(cell[1])]
        counted = set(map(id, self.records))
        # records of other runs than the declaration asks for
        self.stale = [record for record in self._by_run.values() if id(record) not in counted]

    def record_of(self, run: PlannedRun) -> Record | None:
        measure = self.experiment.tasks[run.task].measure
        return self._by_run.get((run.role, run.arm, run.task, run.rate, run.seed, run.digest, measure))

    @property
    def records(self) -> list[Record]:
        """All counted records."""
        tuning = [record for found in self.tuning.values() for record in found]
        return tuning + [record for seeds in self.verdict.values() for record in seeds.values()]

    @property
    def trained_tasks(self) -> list[str]:
        """Tasks of the tier on which models are trained; on the others (``measure: cost``) a layer is measured."""
        return [task for task in self.experiment.sizes(self.tier).tasks if self.is_trained(task)]

    @property
    def cost_tasks(self) -> list[str]:
        return [task for task in self.experiment.sizes(self.tier).tasks if not self.is_trained(task)]

    def is_trained(self, task: str) -> bool:
        return self.experiment.tasks[task].measure == "training"

    def with_status(self, status: str) -> list[Record]:
        return [record for record in self.records if record["status"] == status]

    def planned_seeds(self, cells: Iterable[Cell] = ()) -> tuple[int, ...]:
        """Of verdict runs in any of these cells; without them in any at all."""
        sizes = self.experiment.sizes(self.tier)
        return (*sizes.verdict_seeds, *(sizes.further_seeds if self.further.intersection(cells or self.further) else ()))

    def first_look(self) -> Results:
        """The same without the further seeds."""
        first = copy.copy(self)
        seeds = self.experiment.sizes(self.tier).verdict_seeds
        first.verdict = {cell: {seed: found[seed] for seed in seeds if seed in found} for cell, found in self.verdict.items()}
        first.further = set()
        return first

    def seeds(self, cell: Cell) -> dict[int, Record]:
        """Verdict records of a cell that finished or diverged, by seed; failed ones say nothing about the arm."""
        return {seed: r for seed, r in self.verdict.get(cell, {}).items() if r["status"] != "failed"}

    def best_arm(self, task: str, arms: Sequence[str]) -> str | None:
        """The arm with the best mean validation score on tuning seeds, each at its chosen rate; None unless all have it.

        At equal scores the first named wins.
        """
        sign = METRICS[self.experiment.tasks[task].tuned_on].sign
        scores = []
        for arm in arms:
            choice = self.choices.get((arm, task))
            score = None if choice is None else choice.curve.get(choice.rate)
            if score is None:
                return None
            scores.append(sign * score)
        return arms[scores.index(max(scores))]

    def gaps(self) -> list[str]:
        """What these results lack to be complete, a line each."""
        failed = [f"failed: {record['name']}: {record['error']}" for record in self.with_status("failed")]
        missing = [f"missing: {r.task}, {r.arm}, {r.role}, rate {r.rate}, seed {r.seed}" for r in self.missing]
        untuned = [f"no learning rate yet: {task}, {arm}" for arm, task in self.untuned]
        return [*failed, *missing, *untuned, *(f"stale: {record['name']}" for record in self.stale)]

    def summary(self) -> str:
        waiting = len(self.untuned) * len(self.experiment.sizes(self.tier).verdict_seeds)
        counts = {
            "planned": len(self.planned) + waiting,
            "finished": len(self.with_status("finished")),
            "diverged": len(self.with_status("diverged")),
            "failed": len(self.with_status("failed")),
            "missing": len(self.missing) + waiting,
            "stale": len(self.stale),
        }
        return ", ".join(
            f"{count} {word}" for word, count in counts.items() if count or word in ("planned", "finished", "missing")
        )


def frame(source: str = "committed", results: Path = load.RESULTS) -> pd.DataFrame:
    """All runs of ``source`` (as ``--source``: committed, a folder of runs, wandb:entity/project), a row each.

    Columns: those of ``RUN``; each score as ``split.metric`` (``test.accuracy``, ``out.accuracy``); numbers and words of
    the record by their path (``steps``, ``parameters``, ``diagnostics.end.effective_rank``); the config with ``config.``
    before (``config.train.rate``), a part by its name (``config.mixer``) beside its keys (``config.mixer.heads``).
    What a run has not is missing. A run outside any experiment has none and no arm.

    Warns of invalid records, which are left out. Raises ``ValueError`` where there is no such source.
    """
    loaded = load.load(source, results)
    for line in loaded.set_aside:
        warnings.warn(f"left out: {line}", stacklevel=2)
    rows = [columns(record) for record in (*chain.from_iterable(loaded.by_tier.values()), *loaded.singles)]
    scores, other, config = (pd.DataFrame([row[part] for row in rows]) for part in range(3))
    return pd.concat([scores, other, config.convert_dtypes()], axis=1)  # so that heads are 1, 2, not 1.0, 2.0, NaN


def columns(record: Record) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What a run is and its scores; what else its record says; its config."""
    known = {**record, **record["plan"]}
    parameters = sum(record["parameters"].values()) if record.get("parameters") else None
    other = {key: node for key, node in record.items() if key not in (*RUN, *NO_COLUMN) and not isinstance(node, list)}
    config = {key: node for key, node in record["config"].items() if key != "origin"}
    return (
        {**{name: known.get(name) for name in RUN}, **dict(_flat("", record["metrics"]))},
        {"parameters": parameters, **dict(_flat("", other))},
        dict(_flat("config.", config)),
    )


def _flat(prefix: str, node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if not isinstance(value, Mapping):
            yield f"{prefix}{key}", tuple(value) if isinstance(value, list) else value  # by which can be grouped
            continue
        if isinstance(value.get("name"), str):
            yield f"{prefix}{key}", value["name"]
        yield from _flat(f"{prefix}{key}.", {inner: leaf for inner, leaf in value.items() if inner not in ("name", "example")})


def cell_of(record: Record) -> Cell:
    return record["plan"]["arm"], record["plan"]["task"]


def _key(record: Record) -> tuple:
    plan = record["plan"]
    measure = record["config"].get("measure", "training")
    return plan["role"], plan["arm"], plan["task"], plan["rate"], plan["seed"], plan["digest"], measure
