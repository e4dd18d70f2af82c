from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from analysis.effort import Effort, effort
from analysis.results import Results
from analysis.rules.measured import Measured, Sides
from analysis.rules.scores import Scores, paired
from analysis.rules.terms import Side
from analysis.statistics import ABOVE, BELOW, Test, compared
from study.declarations import TaskVariant
from study.metrics import Metric


class Sooner(Measured):
    """Side a takes less than side b to the validation score that the experiment gives its task as target.

    A run that does not reach it counts with what it spent, a lower bound. A bound is evidence against its own side only; what
    would need more than the bound stays inconclusive. A margin below 0 asks whether a takes no more: -0.2 holds what b takes
    above 80 % of it.
    """

    quantity: Literal["steps", "samples", "multiply_adds", "seconds"]
    a: Side
    b: Side
    margin: float | None = None

    def margin_of(self, metric: Metric, task: TaskVariant) -> float | None:
        return super().margin_of(metric, task) if self.margin is None else self.margin

    def scores(self, study: Results, task: str) -> Scores:
        return Scores(study, task, f"to_target.{self.quantity}")

    def by_count(self, scores: Scores) -> bool:
        return False  # when a target is reached is left to chance, whatever it is told in

    def sides(self) -> Sides:
        return (self.a,), (self.b,)

    def levels(self, scores: Scores) -> tuple[float | None, float | None]:
        a, b = (scores.mean(_values(scores, took)) for took in self._took(scores))
        return a, b

    def test(self, scores: Scores, margin: float) -> Test:
        sides = self._took(scores)
        test = compared(list(paired(*(_values(scores, took) for took in sides)).values()), margin)
        never = [sum(found is None or not found.reached for found in took.values()) for took in sides]  # diverged runs, too
        if any(never):
            counts = " and ".join(map(str, never))
            target = scores.study.experiment.tasks[scores.task].target
            scores.notes.append(f"{counts} runs of the sides never reach {target:g}: the effect is a bound")
        if test.place is not None and {ABOVE: never[0], BELOW: never[1]}.get(test.place, sum(never)):
            return dataclasses.replace(test, place=None, note="the side it speaks for has runs that never reach the target")
        return test

    def _took(self, scores: Scores) -> list[dict[int, Effort | None]]:
        """By side and seed."""
        experiment = scores.study.experiment
        target = experiment.tasks[scores.task].target
        if target is None:
            raise ValueError(f"contrast {self.name}: {experiment.name} gives {scores.task} no target")
        runs = [scores.runs(term) for term in (self.a, self.b)]
        return [{seed: effort(record, target, self.quantity) for seed, record in side.items()} for side in runs]


def _values(scores: Scores, took: Mapping[int, Effort | None]) -> dict[int, float]:
    return scores.oriented({seed: None if found is None else found.value for seed, found in took.items()})
