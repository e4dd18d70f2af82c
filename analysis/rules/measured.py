"""Rules that are decided by runs: which records a contrast is about, and what they share on the way to a test."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from analysis.results import Results, cell_of
from analysis.rules.base import Evidence, NotRun, Rule
from analysis.rules.runs import held_open, of_sides
from analysis.rules.scope import scope
from analysis.rules.scores import Scores
from analysis.rules.terms import Names, Side, Slice, Term
from analysis.settling import analysis_alpha
from analysis.statistics import BETTER, BY_COUNT, BY_SIGN, Reading, Test, compared, counted, mean_interval
from analysis.values import MOST_NATS
from study.declarations import TaskVariant
from study.metrics import Metric

Sides = tuple[tuple[Term, ...], tuple[Term, ...]]


class Measured(Rule):
    """Decided on the verdict seeds of one experiment, paired by seed; a positive effect says that side a is better.

    ``task`` may name alternatives: the first one that the tier has is meant. Further seeds count once each of its cells has
    some.
    """

    reading: ClassVar[Reading] = BETTER

    experiment: str
    task: Names

    @property
    def about(self) -> str:
        return self.experiment

    @abstractmethod
    def test(self, scores: Scores, margin: float) -> Test:
        """What the scores say; ``margin`` is on their scale, so the logarithm of a ratio where they are logarithms."""

    def scores(self, study: Results, task: str) -> Scores:
        return Scores(study, task, f"test.{study.experiment.tasks[task].metric}")

    def sides(self) -> Sides:
        """Whose better scores make for a larger effect, and whose for a smaller one."""
        return (), ()

    def levels(self, scores: Scores) -> tuple[float | None, float | None]:
        """Mean scores of the two sides that are compared, in the metric's own unit."""
        return None, None

    def by_count(self, scores: Scores) -> bool:
        return scores.metric.counted

    def margin_of(self, metric: Metric, task: TaskVariant) -> float | None:
        """The difference that counts: the experiment's for its own metric, else the metric's. None where there is none."""
        return task.margin if metric.name == task.metric and task.margin is not None else metric.margin

    def evaluate(self, studies: Mapping[str, Results], tier: str) -> Evidence:
        study = studies.get(self.experiment)
        if study is None:
            raise NotRun(f"no records of {self.experiment}")
        sizes = study.experiment.sizes(tier)
        task = next((task for task in self.task if task in sizes.tasks), None)
        if task is None:
            raise NotRun(f"{self.experiment} has no task {' or '.join(self.task)} in the {tier} tier")
        scores = self.scores(study, task)
        margin = self.margin_of(scores.metric, study.experiment.tasks[task])
        test = self.test(scores, math.log1p(margin or 0.0) if scores.metric.relative else margin or 0.0)
        cells = set(map(cell_of, scores.records))
        if cells & study.further and not cells <= study.further:
            return self.evaluate({**studies, self.experiment: study.first_look()}, tier)
        planned = study.planned_seeds(cells)
        if self.by_count(scores) and (test.by == BY_SIGN or test.n == 1):  # the same for each seed, as it must be
            assert test.effect is not None
            test = counted(test.effect, test.margin)
        sides = self.sides()
        if reason := held_open(scores, test, self.reading, sides, self.own_unit):
            test = dataclasses.replace(test, place=None, note=reason)
        return Evidence(
            test=test,
            scope=scope(scores, None if test.by == BY_COUNT else test.n, len(planned), tier),
            notes=scores.notes,
            task=task,
            metric=scores.path,
            margin=margin,
            planned=len(planned),
            alpha=analysis_alpha(1 + bool(sizes.further_seeds), 1 + (len(planned) > len(sizes.verdict_seeds))),
            reading=self.reading,
            shown=as_share if scores.metric.relative and self.own_unit is None else float,
            levels=self.levels(scores),
            runs={} if test.by == BY_COUNT else of_sides(scores, sides),
            records=scores.records,
        )


class Scored(Measured):
    """Compared by a metric: ``split.metric``, on the test split that of the task where none is named.

    Splits are test, out (longer than trained on), validation, train, best (the best evaluation on validation during training)
    and gap (test less train); ``analysis.values.measure`` says what else can be named.
    """

    a: Side
    metric: str | None = None

    def scores(self, study: Results, task: str) -> Scores:
        return Scores(study, task, self.metric or self.a.metric or f"test.{study.experiment.tasks[task].metric}")


class Sliced(Scored):
    """On a slice of its items."""

    slice: Slice | None = None

    def scores(self, study: Results, task: str) -> Scores:
        scores = super().scores(study, task)
        scores.slice = self.slice
        return scores


class Compared(Sliced):
    """Side a held against side b.

    ``floor``: what side a must reach on average, of ``floor_metric`` where that is another one; below it, it has not learned
    enough to be compared.
    """

    b: Side
    margin: float | None = None
    floor: float | None = None
    floor_metric: str | None = None

    def margin_of(self, metric: Metric, task: TaskVariant) -> float | None:
        return super().margin_of(metric, task) if self.margin is None else self.margin

    def sides(self) -> Sides:
        return (self.a,), (self.b,)

    def levels(self, scores: Scores) -> tuple[float | None, float | None]:
        a, b = scores.both(self.a, self.b)
        return scores.mean(a), scores.mean(b)

    def test(self, scores: Scores, margin: float) -> Test:
        test = compared(list(scores.gaps(self.a, self.b).values()), margin)
        if scores.path.endswith("accuracy") and all(r.get("steps_to_solve") is not None for r in scores.records):
            scores.notes.append("every run solves the task")
        a = self.a.model_copy(update={"metric": self.floor_metric}) if self.floor_metric else self.a
        return test if self.floor is None else above_floor(test, scores, a, self.floor)


def above_floor(test: Test, scores: Scores, a: Term, floor: float) -> Test:
    """The test, but without a place where side a is on average below the floor."""
    if test.place is None:
        return test
    mean, *_ = mean_interval(list(scores.gaps(a, Term(value=0.0)).values()))
    if mean is None or mean >= floor:
        return test
    return dataclasses.replace(test, place=None, note=f"side a, at {100 * mean:.0f} %, has not learned enough to be compared")


def as_share(log_ratio: float) -> float:
    return math.expm1(min(log_ratio, MOST_NATS))
