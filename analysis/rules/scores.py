"""Scores of the sides of a contrast out of one experiment's records, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.results import Results
from analysis.rules.base import NotRun
from analysis.rules.terms import Slice, Term
from analysis.values import MOST_NATS, measure
from study.metrics import METRICS
from study.records import Record

BySeed = dict[Any, float] | float  # a number holds for every seed


class Scores:
    """Scores on one task by seed, oriented: more is better, and ratios are logarithms.

    It remembers what it has read (``records``), and what a reader has to know of it (``notes``).
    """

    def __init__(self, study: Results, task: str, path: str, sliced: Slice | None = None):
        name = path.rpartition(".")[2]
        if name not in METRICS:
            raise ValueError(f"{study.experiment.name}, {task}: no metric {name!r}; known are {', '.join(METRICS)}")
        self.study, self.task, self.path, self.slice = study, task, path, sliced
        self.metric = METRICS[name]
        self.records: list[Record] = []
        self.notes: list[str] = []

    def runs(self, term: Term) -> Mapping[int, Record]:
        """Records of a side's cell by seed; failed ones apart."""
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
        by_seed = self.study.seeds(cell)
        if not by_seed:
            raise NotRun(f"no verdict runs of {arm} on {task}")
        known = {record["name"] for record in self.records}
        self.records += [record for record in by_seed.values() if record["name"] not in known]
        return by_seed

    def of(self, term: Term) -> BySeed:
        """A side's scores, oriented."""
        if term.value is not None:
            return self._oriented(term.value)
        path, sliced = term.metric or self.path, term.slice or self.slice
        return self.oriented({seed: measure(record, path, sliced) for seed, record in self.runs(term).items()})

    def both(self, a: Term, b: Term) -> tuple[BySeed, BySeed]:
        """Chance is that of a's runs."""
        chance = {seed: record.get("chance") for seed, record in self.runs(a).items()} if b.chance else {}
        return self.of(a), self.oriented(chance) if b.chance else self.of(b)

    def gaps(self, a: Term, b: Term) -> dict[Any, float]:
        """a less b, where both are there."""
        return paired(*self.both(a, b))

    def mean(self, scores: BySeed) -> float | None:
        """In the metric's own unit again; of ratios the geometric one."""
        values = list(scores.values()) if isinstance(scores, dict) else [scores]
        if not values:
            return None
        mean = self.metric.sign * math.fsum(values) / len(values)
        return math.exp(min(mean, MOST_NATS)) if self.metric.relative else mean

    def oriented(self, values: Mapping[Any, float | None]) -> dict[Any, float]:
        """Those that are there, and of a ratio those that have a logarithm."""
        known = {seed: value for seed, value in values.items() if value is not None}
        return {seed: self._oriented(value) for seed, value in known.items() if value > 0 or not self.metric.relative}

    def _oriented(self, value: float) -> float:
        return self.metric.sign * (math.log(value) if self.metric.relative else value)


def paired(a: BySeed, b: BySeed) -> dict[Any, float]:
    """a less b by seed; one of the two may be a number."""
    if not isinstance(a, dict):
        assert isinstance(b, dict), "one side of a contrast must be an arm"
        a = dict.fromkeys(b, a)
    if not isinstance(b, dict):
        b = dict.fromkeys(a, b)
    return {seed: a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())}
