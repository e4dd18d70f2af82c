from __future__ import annotations

from typing import ClassVar

from analysis.rules.measured import Sides, Sliced, as_share
from analysis.rules.scores import Scores, paired
from analysis.rules.terms import Side
from analysis.statistics import Test, bootstrapped, mean_interval


class Interaction(Sliced):
    """What a gains over b is more than what c gains over d, by more than the margin."""

    gains: ClassVar[str] = "gains"

    b: Side
    c: Side
    d: Side

    def sides(self) -> Sides:
        return (self.a, self.d), (self.b, self.c)

    def levels(self, scores: Scores) -> tuple[float | None, float | None]:
        a, b = (mean_interval(list(scores.gaps(*pair).values()))[0] for pair in ((self.a, self.b), (self.c, self.d)))
        return (a, b) if a is None or b is None or not scores.metric.relative else (as_share(a), as_share(b))

    def test(self, scores: Scores, margin: float) -> Test:
        gained = paired(scores.gaps(self.a, self.b), scores.gaps(self.c, self.d))
        return bootstrapped(list(gained.values()), margin)
