"""Scores of the sides of a contrast out of one experiment's records, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from analysis.results import Results
from analysis.rules.base import NotRun
from analysis.rules.terms import Slice, Term
from analysis.values import measure
from study.metrics import METRICS
from study.records import Record

Over = Literal["verdict_runs", "all_runs"]  # all_runs: tuning runs at every rate as well, paired by rate and seed


class Scores:
    """Scores on one task by seed, oriented: more is better, and ratios are logarithms.

    It remembers what it has read (``records``), what a reader has to know of it (``notes``) and how many runs were planned.
    """

    def __init__(self, study: Results, task: str, path: str, sliced: Slice | None = None, over: Over = "verdict_runs"):
        name = path.rpartition(".")[2]
        if name not in METRICS:
            raise ValueError(f"{study.experiment.name}, {task}: no metric {name!r}; known are {', '.join(METRICS)}")
        self.study, self.task, self.path, self.slice, self.over = study, task, path, sliced, over
        self.metric = METRICS[name]
        self.records: list[Record] = []
        self.notes: list[str] = []
        self._planned: list[int] = []  # of each cell that all runs are asked of

    @property
    def planned(self) -> int:
        return min(self._planned, default=len(self.study.planned_seeds))

    def runs(self, term: Term) -> Mapping[Any, Record]:
        """Records of a side's cell by seed, or by what else pairs them (``over``); failed ones apart."""
        task, arm = term.task or self.task, term.arm
        if term.best_of:
            arm = self.study.best_arm(task, term.best_of)
            if arm is None:
                raise NotRun(f"not every one of {', '.join(term.best_of)} has a chosen rate on {task}")
            if (note := f"best on validation: {arm}") not in self.notes:
                self.notes.append(note)
        experiment = self.study.experiment
        if arm is None or arm not in experiment.arms:
            raise ValueError(f"{experiment.name} has no arm {arm!r}; known are {', '.join(experiment.arms)}")
        cell = (arm, task)
        if self.over == "all_runs":
            own = [run for run in self.study.planned if run.cell == cell]
            self._planned.append(len({(run.role, run.rate, run.seed) for run in own}))  # one begun and then ended is one
        cell_runs: Mapping[Any, Record] = self.study.seeds(cell) if self.over == "verdict_runs" else self.study.all_runs(cell)
        if not cell_runs:
            raise NotRun(f"no verdict runs of {arm} on {task}")
        known = {record["name"] for record in self.records}
        self.records += [record for record in cell_runs.values() if record["name"] not in known]
        return cell_runs

    def of(self, term: Term) -> dict[Any, float] | float:
        """By seed; a number holds for every seed."""
        if term.value is not None:
            return self._oriented(term.value)
        path, sliced = term.metric or self.path, term.slice or self.slice
        return self.oriented({seed: measure(record, path, sliced) for seed, record in self.runs(term).items()})

    def gaps(self, a: Term, b: Term) -> dict[Any, float]:
        """a less b, where both are there. Chance is that of a's runs."""
        if b.chance:
            return paired(self.of(a), self.oriented({seed: record.get("chance") for seed, record in self.runs(a).items()}))
        return paired(self.of(a), self.of(b))

    def oriented(self, values: Mapping[Any, float | None]) -> dict[Any, float]:
        """Those that are there, and of a ratio those that have a logarithm."""
        known = {seed: value for seed, value in values.items() if value is not None}
        return {seed: self._oriented(value) for seed, value in known.items() if value > 0 or not self.metric.relative}

    def _oriented(self, value: float) -> float:
        return self.metric.sign * (math.log(value) if self.metric.relative else value)


def paired(a: dict[Any, float] | float, b: dict[Any, float] | float) -> dict[Any, float]:
    """a less b by seed; one of the two may be a number."""
    if not isinstance(a, dict):
        assert isinstance(b, dict), "one side of a contrast must be an arm"
        a = dict.fromkeys(b, a)
    if not isinstance(b, dict):
        b = dict.fromkeys(a, b)
    return {seed: a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())}
