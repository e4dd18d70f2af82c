"""What every position encoding offers.

Shapes: B batch, N positions, D width.
"""

from typing import Any

from torch import Tensor, nn


class Position(nn.Module):
    """Adds the encodings of positions start .. start + N - 1 to x (B, N, D), in float32.

    Encodings start with the same norm, RMS sqrt(1/2) per position, so that no arm gets a louder start than another.
    The keyword-only arguments of a subclass, less `length`, are its configuration.
    """

    def __init__(self, width: int, *, length: int) -> None:
        """`width`: D. `length`: longest sequence in training."""
        super().__init__()
        self.width, self.length = width, length

    def forward(self, x_BND: Tensor, start: int = 0) -> Tensor:
        raise NotImplementedError

    @classmethod
    def parameter_count(cls, *args: Any, **own: Any) -> int:
        """(width, length, *, <own keywords>) -> parameters, in closed form."""
        raise NotImplementedError
