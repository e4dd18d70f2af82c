"""Hard attention with a straight-through gradient (Bengio et al. 2013, section 3)."""

from torch import Tensor

from study.readouts.base import Query, hard


class StraightThrough(Query):
    """Reads the position with the largest weight alone; gradients flow as if the soft weights had been used.

    No random draw. The gradient is biased: it is that of no loss.
    """

    name = "straight_through"

    def weights(self, log_BTN: Tensor) -> Tensor:
        return hard(log_BTN.exp())
