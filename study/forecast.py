"""How many runs a sweep will make and how long they will take, before all of its learning rates are chosen."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from study.declarations import STEPS, Cell
from study.experiments import SHARE, Experiment, PlannedRun, RecordOf
from study.metrics import METRICS
from study.progress import State


class Outlook:
    """How far one or several experiments are at one tier; ``record_of`` gives the record of a run, or None."""

    def __init__(self, experiments: Iterable[Experiment], tier: str, further: bool, record_of: RecordOf):
        self.experiments, self.tier, self.further, self.record_of = list(experiments), tier, further, record_of
        self.pace = Pace()
        self.expected: set[PlannedRun] = set()
        self.ended: set[PlannedRun] = set()
        self.taken, self.failed, self.started = 0.0, 0, time.monotonic()  # of the runs that are made from here on

    def begin(self, is_done: Callable[[PlannedRun], bool]) -> None:
        self.expect()
        self.ended = {run for run in self.expected if is_done(run)}
        for run in self.ended:
            if record := self.record_of(run):
                self.pace.learn(run, record)

    def expect(self) -> None:
        """Reckon anew, from all records that there are by now."""
        self.expected = set()
        for experiment in self.experiments:
            further = experiment.cells(self.tier) if self.further else ()
            self.expected.update(planned(experiment, self.tier, self.record_of, further))

    def made(self, run: PlannedRun, record: Mapping[str, Any] | None) -> None:
        self.ended.add(run)
        if record:
            self.pace.learn(run, record)
            self.taken += record.get("seconds") or 0.0
            self.failed += record["status"] != "finished"

    def state(self, phase: str) -> State:
        at_once = max(1.0, self.taken / max(1.0, time.monotonic() - self.started))  # runs side by side
        left = self.pace.seconds(self.expected - self.ended)
        note = f"{self.failed} failed" if self.failed else ""
        planned = len(self.expected | self.ended)
        return State(phase, len(self.ended), planned, "runs", None if left is None else left / at_once, note)

    def words(self) -> str:
        """What is to be done, before anything is."""
        roles = Counter(run.role for run in self.expected)
        names = ", ".join(experiment.name for experiment in self.experiments)
        more = any(len(experiment.sizes(self.tier).rates) > 1 for experiment in self.experiments)
        return (
            f"{names}, {self.tier}: {len(self.expected)} runs planned ({roles['tuning']} to choose learning rates, "
            f"{roles['verdict']} at those chosen), {len(self.ended)} done"
            + "\nmore follow where the best learning rate lies at the edge of its grid"
            * more
        )


def planned(experiment: Experiment, tier: str, record_of: RecordOf, further: Collection[Cell] = ()) -> list[PlannedRun]:
    """All runs of a tier. One without a record stands for one that leaves the best learning rate inside its grid."""

    def known(run: PlannedRun) -> Mapping[str, Any]:
        return record_of(run) or _stand_in(run, experiment)

    return [run for phase in experiment.phases(tier, known, further) for run in phase.runs]


class Pace:
    """Seconds that runs take, learnt from records: of a run's own cell, or else of its task, of its experiment, of all."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, ...], list[float]] = {}  # (seconds, steps) summed up, by what the runs share

    def learn(self, run: PlannedRun, record: Mapping[str, Any]) -> None:
        if record["status"] == "finished":
            for shared in _nearest_first(run):
                taken = self.taken.setdefault(shared, [0.0, 0.0])
                taken[0] += record["seconds"]
                taken[1] += steps(run)

    def seconds(self, runs: Iterable[PlannedRun]) -> float | None:
        """Of all these runs, one after another; None where no record tells."""
        if not self.taken:
            return None
        known = ((run, next(self.taken[shared] for shared in _nearest_first(run) if shared in self.taken)) for run in runs)
        return math.fsum(steps(run) * seconds / count for run, (seconds, count) in known)


def _nearest_first(run: PlannedRun) -> list[tuple[str, ...]]:
    whole = (run.experiment, run.task, run.arm)
    return [whole[:size] for size in range(len(whole), -1, -1)]


def steps(run: PlannedRun) -> float:
    """The optimiser steps that a run makes at most, from where it begins."""
    share = 1 - SHARE if run.begun else run.settings.get("train.until", 1.0)
    return run.settings.get("train.steps", STEPS) * share


def _stand_in(run: PlannedRun, experiment: Experiment) -> dict[str, Any]:
    """A record that scores the better the nearer its rate is to the middle of the grid."""
    rates, metric = experiment.sizes(run.tier).rates, experiment.tasks[run.task].tuned_on
    away = abs(math.log((run.rate or 1.0) / rates[len(rates) // 2]))
    scored = {"validation": {metric: -METRICS[metric].sign * away}}
    return {"status": "finished", "plan": {"rate": run.rate}, "metrics": scored, "config": {"train": {}}}
