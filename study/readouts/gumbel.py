"""Hard attention by straight-through Gumbel-softmax (Jang et al. 2017, sections 2.1 and 2.2; Maddison et al. 2017)."""

from typing import Any

from torch import Tensor

from study.readouts.base import Query, hard, standard_gumbel


class Gumbel(Query):
    """In training reads a position drawn with odds w; gradients flow through softmax((log w + Gumbel noise) / temperature).

    The gradient is biased, less so the lower the temperature, at the price of a larger variance.
    """

    name = "gumbel"

    def __init__(self, width: int, *, temperature: float = 1.0, **given: Any) -> None:
        super().__init__(width, **given)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} must be above 0; 1 is usual")
        self.temperature = temperature

    def weights(self, log_BTN: Tensor) -> Tensor:
        return hard(((log_BTN + standard_gumbel(log_BTN)) / self.temperature).softmax(-1))
