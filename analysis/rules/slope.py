from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from analysis import statistics
from analysis.rules.base import Unit
from analysis.rules.measured import Scored, Sides
from analysis.rules.scores import BySeed, Scores, paired
from analysis.rules.terms import Conditions, Side, Term
from analysis.statistics import Test
from analysis.values import counted, measure, selects
from study.declarations import TaskVariant
from study.metrics import Metric

SHARES = ("accuracy", "token_accuracy", "exact")  # of right answers, so their log odds make straight trends


class Slope(Scored):
    """A score rises more steeply along an axis for side a than for side b, both on log scales (of accuracy: log odds).

    ``axis`` names a slice, such as distance; ``points`` is there instead for scores of several arms or tasks, the side b of the
    contrast: {32: narrow, 64: wide}. A side that is a number is a slope. ``within`` leaves out a part of the axis, such as what
    hardly any items reach: "<= 40". The margin is 0.
    """

    own_unit: ClassVar[Unit | None] = Unit(1.0, 2)
    gains: ClassVar[str] = "slopes"

    b: Side = Term(value=0.0)
    axis: str | None = None
    within: Conditions = []
    points: dict[float, Side] = {}

    @model_validator(mode="after")
    def _along_something(self) -> Slope:
        if bool(self.axis) == bool(self.points):
            raise ValueError("needs either axis, such as axis: distance, or points")
        return self

    def margin_of(self, metric: Metric, task: TaskVariant) -> float | None:
        return 0.0

    def sides(self) -> Sides:
        return (() if self.points else (self.a,)), (tuple(self.points.values()) if self.points else (self.b,))

    def levels(self, scores: Scores) -> tuple[float | None, float | None]:
        a, b = self._both(scores)
        return _mean(a), _mean(b)

    def test(self, scores: Scores, margin: float) -> Test:
        return statistics.bootstrapped(list(paired(*self._both(scores)).values()), margin)

    def _both(self, scores: Scores) -> tuple[BySeed, BySeed]:
        b = _through(scores, self.points) if self.points else self._slopes(scores, self.b)
        return self._slopes(scores, self.a), b

    def _slopes(self, scores: Scores, term: Term) -> BySeed:
        if term.value is not None:
            return term.value
        split, _, name = (term.metric or scores.path).rpartition(".")
        series = {}
        for seed, record in scores.runs(term).items():
            bins = record.get("slices", {}).get(split, {}).get(self.axis, {})
            kept = {float(x): found for x, found in bins.items() if float(x) > 0 and selects(self.within, float(x), None)}
            known = [(math.log(x), _straight(name, found)) for x, found in kept.items()]
            series[seed] = [(x, y) for x, y in known if y is not None]
        return _fitted(series)


def _mean(slopes: BySeed) -> float | None:
    return statistics.mean_interval(list(slopes.values()) if isinstance(slopes, dict) else [slopes])[0]


def _through(scores: Scores, points: Mapping[float, Term]) -> dict[Any, float]:
    """By seed, where every point has its score."""
    series: dict[Any, list[tuple[float, float]]] = {}
    for x, term in points.items():
        for seed, record in scores.runs(term).items():
            y = measure(record, term.metric or scores.path)
            if y is not None and y > 0:
                series.setdefault(seed, []).append((math.log(x), math.log(y)))
    return _fitted({seed: found for seed, found in series.items() if len(found) == len(points)})


def _fitted(series: Mapping[Any, list[tuple[float, float]]]) -> dict[Any, float]:
    slopes = {seed: statistics.slope(*zip(*points, strict=True)) for seed, points in series.items() if points}
    return {seed: value for seed, value in slopes.items() if value is not None}


def _straight(name: str, found: Mapping[str, Any]) -> float | None:
    """A score on the scale on which trends are straight. None where it is not there, or has no logarithm."""
    score = found.get(name)
    if score is not None and name in SHARES:
        return statistics.empirical_logit(score, counted(name, found))
    return math.log(score) if score is not None and score > 0 else None
