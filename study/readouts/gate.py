"""Gated sum (Dauphin et al. 2017, equation 1, summed over positions): each position decides alone how much of it is kept."""

from typing import Any

from torch import Tensor, nn

from study.mixers.base import linear
from study.readouts.base import Readout


class Gate(Readout):
    """sum_i sigmoid(W n_i + b) * x_i, feature by feature, with n the layer norm of x.

    No gate knows of the question, or of another position.
    """

    name = "gate"

    def __init__(self, width: int, **given: Any) -> None:
        super().__init__(width, **given)
        self.norm = nn.LayerNorm(width)
        self.gate = linear(width, width)

    def read(self, x_BND: Tensor, where_BT: Tensor | None, mask_BN: Tensor | None) -> Tensor:
        kept_BND = self.gate(self.norm(x_BND)).sigmoid() * x_BND
        return self.visible(x_BND, where_BT, mask_BN).to(kept_BND.dtype) @ kept_BND
