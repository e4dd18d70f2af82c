from __future__ import annotations

import dataclasses
from typing import Literal

from analysis.effort import effort
from analysis.results import Results
from analysis.rules.measured import Measured
from analysis.rules.scores import Scores, paired
from analysis.rules.terms import Side
from analysis.statistics import ABOVE, BELOW, Test, compared
from study.experiments import TaskVariant
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

    def test(self, scores: Scores, margin: float) -> Test:
        experiment = scores.study.experiment
        target = experiment.tasks[scores.task].target
        if target is None:
            raise ValueError(f"contrast {self.name}: {experiment.name} gives {scores.task} no target")
        runs = [scores.runs(term) for term in (self.a, self.b)]
        took = [{seed: effort(record, target, self.quantity) for seed, record in side.items()} for side in runs]
        a, b = (
            scores.oriented({seed: None if found is None else found.value for seed, found in side.items()}) for side in took
        )
        test = compared(list(paired(a, b).values()), margin)
        never = [sum(found is None or not found.reached for found in side.values()) for side in took]  # diverged runs, too
        if any(never):
            counts = " and ".join(map(str, never))
            scores.notes.append(f"{counts} runs of the sides never reach {target:g}: the effect is a bound")
        if test.place is not None and {ABOVE: never[0], BELOW: never[1]}.get(test.place, sum(never)):
            return dataclasses.replace(test, place=None, note="the side it speaks for has runs that never reach the target")
        return test
