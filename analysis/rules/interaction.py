from __future__ import annotations

from analysis.rules.measured import Sides, Sliced
from analysis.rules.scores import Scores, paired
from analysis.rules.terms import Side
from analysis.statistics import Test, bootstrapped


class Interaction(Sliced):
    """What a gains over b is more than what c gains over d, by more than the margin."""

    b: Side
    c: Side
    d: Side

    def sides(self) -> Sides:
        return (self.a, self.d), (self.b, self.c)

    def test(self, scores: Scores, margin: float) -> Test:
        gained = paired(scores.gaps(self.a, self.b), scores.gaps(self.c, self.d))
        return bootstrapped(list(gained.values()), margin)
