from __future__ import annotations

from analysis.rules.measured import Scored, Sides, above_floor
from analysis.rules.scores import Scores
from analysis.rules.terms import Term
from analysis.statistics import Test, compared
from analysis.values import joined


class Reach(Scored):
    """Arm a is better within the reach of its whole model than beyond it, along ``axis`` (such as distance).

    ``floor``: what it must reach on average within its reach; below it, it has not learned enough to be compared.
    """

    axis: str
    floor: float | None = None

    def sides(self) -> Sides:
        return (self.a,), ()

    def levels(self, scores: Scores) -> tuple[float | None, float | None]:
        a, b = scores.both(*self._parts())
        return scores.mean(a), scores.mean(b)

    def test(self, scores: Scores, margin: float) -> Test:
        within, beyond = self._parts()
        test = compared(list(scores.gaps(within, beyond).values()), margin)
        reaches = {record.get("reach") for record in scores.records if record["status"] == "finished"}
        if reaches == {None}:
            return Test(note="its reach has no bound")
        if not test.n:
            return Test(note=f"no {self.axis} on both sides of its reach of {joined(reaches)}")
        scores.notes.append(f"reach {joined(reaches)}")
        return test if self.floor is None else above_floor(test, scores, within, self.floor)

    def _parts(self) -> tuple[Term, Term]:
        """The arm within its reach, and beyond it."""
        within, beyond = (self.a.model_copy(update={"slice": {self.axis: [c]}}) for c in ("<= reach", "> reach"))
        return within, beyond
