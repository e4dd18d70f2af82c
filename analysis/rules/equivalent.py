from __future__ import annotations

import dataclasses
from typing import ClassVar

from analysis.rules.measured import Compared
from analysis.rules.scores import Scores
from analysis.statistics import SAME, WITHIN, Reading, Test
from study.records import Record

CEILED = ("test", "validation", "best")  # splits whose scores end where a run stops once it has solved its task


class Equivalent(Compared):
    """Sides a and b differ by less than the margin, either way.

    Scores of runs that stopped once they had solved the task can't differ, so there it stays open: the steps they took
    (``metric: steps_to_solve``) can.
    """

    asks: ClassVar[str] = "±"
    reading: ClassVar[Reading] = SAME

    def test(self, scores: Scores, margin: float) -> Test:
        test = super().test(scores, margin)
        stopped = sum(map(stopped_early, scores.records)) if scores.path.partition(".")[0] in CEILED else 0
        if test.place == WITHIN and stopped:
            note = f"{stopped} of {len(scores.records)} runs stop once they have solved the task, so their scores can't differ"
            return dataclasses.replace(test, place=None, note=note)
        return test


def stopped_early(record: Record) -> bool:
    return record.get("steps_to_solve") is not None and record["steps"] < record["config"]["train"]["steps"]
