from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from analysis.effort import steps_to_90
from analysis.rules.base import Unit
from analysis.rules.measured import Measured, Sides
from analysis.rules.scores import Scores
from analysis.rules.terms import Side
from analysis.statistics import Test, log_rank, mean_interval, more_solved
from analysis.values import measure
from study.declarations import TaskVariant
from study.metrics import Metric
from study.records import Record


class Solves(Measured):
    """More runs of side a solve the task, on the test split, than of side b. Diverged runs count as unsolved."""

    own_unit: ClassVar[Unit | None] = Unit(100.0, 0, " points")

    a: Side
    b: Side

    def margin_of(self, metric: Metric, task: TaskVariant) -> float | None:
        return None

    def sides(self) -> Sides:
        return (self.a,), (self.b,)

    def levels(self, scores: Scores) -> tuple[float | None, float | None]:
        a, b = (mean_interval(_solved(scores.runs(term).values()))[0] for term in (self.a, self.b))
        return a, b

    def test(self, scores: Scores, margin: float) -> Test:
        counts, medians, steps = [], [], []
        for term in (self.a, self.b):
            records = scores.runs(term).values()
            hits = _solved(records)
            counts += [int(sum(hits)), len(hits)]
            steps.append([steps_to_solve(record) for record in records])
            median = steps_to_90(records)
            medians.append("" if median is None else f"{'' if median.reached else 'more than '}{median.value}")
        scores.notes.append(f"solved {counts[0]}/{counts[1]} against {counts[2]}/{counts[3]}")
        scores.notes.append(f"median steps to 90 %: {medians[0]} against {medians[1]}")
        if (p := log_rank(*steps)) is not None:
            scores.notes.append(f"steps to solve, unsolved runs censored: log-rank p = {p:.3g}")
        return more_solved(*counts)


def _solved(records: Iterable[Record]) -> list[float]:
    """1 or 0, of the runs that can be said to solve."""
    return [value for record in records if (value := measure(record, "solved")) is not None]


def steps_to_solve(record: Record) -> tuple[float, bool]:
    """Until solved on validation, and whether it was; else all that it made."""
    solved = record.get("steps_to_solve")
    return (record.get("steps") or 0, False) if solved is None else (solved, True)
