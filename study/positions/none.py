"""No position encoding: order reaches the model only through its mixer."""

from torch import Tensor

from study.positions.base import Position


class NoPosition(Position):
    """Gives its input back."""

    name = "none"

    def forward(self, x_BND: Tensor, start: int = 0) -> Tensor:
        return x_BND
