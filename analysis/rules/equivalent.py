from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from analysis.rules.measured import Compared
from analysis.rules.scores import BySeed, Scores, paired
from analysis.rules.terms import Side, Term
from analysis.statistics import SAME, WITHIN, Reading, Test, mean_interval
from analysis.values import measure
from study.records import Record

CEILED = ("test", "validation", "best")  # splits whose scores end where a run stops once it has solved its task
STEPS = ("steps_to_90", "steps_to_solve")  # which have no ceiling, but not every run has them
FAR = 5  # margins by which an arm that is known to differ has to differ


class Equivalent(Compared):
    """Sides a and b differ by less than the margin, either way.

    Supported only where they could have differed: a side of ``differs``, an arm or several that are known to be unlike a, does
    differ from it by five margins; no run stopped because it had solved the task; and neither side's mean lies within a margin
    of the best score there is. Where both sides solve the task, what they took for it can still differ: that is a contrast by
    ``metric: steps_to_solve``, which needs ``differs`` alone, and every run solved.
    """

    sameness: ClassVar[bool] = True
    reading: ClassVar[Reading] = SAME

    differs: Annotated[tuple[Side, ...], BeforeValidator(lambda node: node if isinstance(node, list | tuple) else [node])] = ()

    def test(self, scores: Scores, margin: float) -> Test:
        test = super().test(scores, margin)
        if test.place != WITHIN or self.by_count(scores):
            return test
        note = self._could_not_fail(scores, margin) or self._none_differs(scores, margin)
        return dataclasses.replace(test, place=None, note=note) if note else test

    def _could_not_fail(self, scores: Scores, margin: float) -> str:
        """Why scores of the two sides had to be alike; empty if they had not."""
        runs = len(scores.records)
        if scores.path in STEPS:
            unsolved = sum(record.get(scores.path) is None for record in scores.records)
            return f"{unsolved} of {runs} runs have no {scores.metric.label}" if unsolved else ""
        if scores.path.partition(".")[0] in CEILED and (stopped := sum(map(stopped_early, scores.records))):
            return f"{stopped} of {runs} runs stop once they have solved the task, so their scores can't differ"
        best = scores.metric.best
        means = map(scores.mean, scores.both(self.a, self.b))
        if best is not None and any(mean is not None and abs(mean - best) <= margin for mean in means):
            return f"the scores lie within a margin of the best there is, {best:g}"
        return ""

    def _none_differs(self, scores: Scores, margin: float) -> str:
        if not self.differs:
            return "no arm is named that is known to differ (differs)"
        found = []
        for side in self.differs:
            gaps = list(paired(_known(scores, side), _known(scores, self.a)).values())
            mean, low, high = mean_interval(gaps)
            if low is not None and high is not None and max(low, -high) > FAR * margin:
                return ""
            found.append(f"{side.arm or 'that'} by {'nothing known' if mean is None else f'{abs(mean) / margin:.2g}'}")
        return f"nothing known to differ does differ by {FAR} margins: {', '.join(found)}"


def _known(scores: Scores, side: Term) -> BySeed:
    """A side's scores; of steps, which a run that never got there has not, all that it made: it took more."""
    if scores.path not in STEPS or side.value is not None:
        return scores.of(side)
    runs = scores.runs(side)
    return scores.oriented({seed: measure(run, scores.path) or measure(run, "steps") for seed, run in runs.items()})


def stopped_early(record: Record) -> bool:
    return record.get("steps_to_solve") is not None and record["steps"] < record["config"]["train"]["steps"]
