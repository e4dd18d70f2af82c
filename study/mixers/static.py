"""Mixers whose weights between positions are parameters: trained once, the same for every input.

Shapes: B batch, N positions, Q queries (the last ones of N), D width, H heads, K head width.
"""

from typing import Any

import torch
from torch import Tensor, nn

from study.attention.dot_product import masked_softmax
from study.mixers.attention import resolve_head_width
from study.mixers.base import Mixer, initialise_, linear, real_first
from study.parts import choice


class Static(Mixer):
    """y = W v in each head, W from parameters and v projected from x, all heads projected to y; no biases.

    The table that W is read from is made for the training length.
    """

    def __init__(self, width: int, *, heads: int = 4, **given: Any) -> None:
        super().__init__(width, **given)
        self.heads, self.head_width = heads, resolve_head_width(width, heads, None)
        self.value = linear(width, width, bias=False)
        self.out = linear(width, width, bias=False)
        self.table = nn.Parameter(torch.empty(self.table_shape(heads, self.length, self.causal)))
        initialise_(self.table)

    @staticmethod
    def table_shape(heads: int, length: int, causal: bool) -> tuple[int, int]:
        """Of the parameter that holds the heads' weights; axis 0 is the output."""
        raise NotImplementedError

    def weights(self, Q: int, N: int, mask_BN: Tensor | None) -> Tensor:
        """W of the last Q of N positions over all N: (H, Q, N), or (B, H, Q, N) with a mask; padding stands last."""
        raise NotImplementedError

    def allowed(self, Q: int, N: int, mask_BN: Tensor | None) -> Tensor:
        """(Q, N), or (B, 1, Q, N) with a mask: True where a query may attend."""
        allowed = torch.ones(Q, N, dtype=torch.bool, device=self.table.device)
        if self.causal:
            allowed = allowed.tril(N - Q)
        return allowed if mask_BN is None else allowed & mask_BN[:, None, None, :]

    def forward(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        if mask_BN is None:
            return self._mix(x_BND, None)
        front_BN = torch.arange(x_BND.shape[1], device=x_BND.device) < mask_BN.sum(1, keepdim=True)
        return real_first(lambda sorted_BND: self._mix(sorted_BND, front_BN), x_BND, mask_BN)

    def _mix(self, x_BND: Tensor, mask_BN: Tensor | None) -> Tensor:
        N = x_BND.shape[1]
        v_BHNK = self.value(x_BND).unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)
        y_BHNK = self.weights(N, N, mask_BN) @ v_BHNK
        return self.out(y_BHNK.transpose(1, 2).flatten(2))

    def _empty_state(self, batch, device, dtype) -> Tensor:
        return torch.empty(batch, self.heads, 0, self.head_width, device=device, dtype=dtype)

    def step(self, x_BD: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        v_BHNK = torch.cat([state, self.value(x_BD).view(len(x_BD), self.heads, 1, self.head_width)], 2)
        y_BH1K = self.weights(1, v_BHNK.shape[2], None) @ v_BHNK
        return self.out(y_BH1K.flatten(1)), v_BHNK


class FullyConnected(Static):
    """Every position to every other by one learned number: W is the table, as in a linear layer over positions.

    Its first rows and columns serve shorter sequences; longer ones raise ValueError.
    """

    name = "fully_connected"

    def __init__(self, width: int, **given: Any) -> None:
        super().__init__(width, **given)
        self.longest = self.length

    @staticmethod
    def table_shape(heads: int, length: int, causal: bool) -> tuple[int, int]:
        return heads * length, length

    def entries(self, Q: int, N: int) -> Tensor:
        """(H, Q, N) of the table. ValueError where it has no such rows."""
        if N > self.length:
            raise ValueError(
                f"{N} positions are more than the {self.length} that {choice(type(self))} has weights for; "
                f"train with a length of at least {N}, or use mixer=static_offset or mixer=attention"
            )
        return self.table.view(self.heads, self.length, self.length)[:, N - Q : N, :N]

    def weights(self, Q: int, N: int, mask_BN: Tensor | None) -> Tensor:
        return self.entries(Q, N) * self.allowed(Q, N, mask_BN)


class RandomSynthesizer(FullyConnected):
    """W is the softmax of a learned table (Tay et al. 2021, Synthesizer, section 3.2): attention without content."""

    name = "static"

    def weights(self, Q: int, N: int, mask_BN: Tensor | None) -> Tensor:
        return masked_softmax(self.entries(Q, N), allowed=self.allowed(Q, N, mask_BN))


class StaticOffset(Static):
    """W is the softmax of one learned number for each distance and direction: runs at any length.

    Offsets of the training length or more, which no training sequence has, get no weight.
    """

    name = "static_offset"

    def __init__(self, width: int, **given: Any) -> None:
        super().__init__(width, **given)
        self.reach = self.length - 1

    @staticmethod
    def table_shape(heads: int, length: int, causal: bool) -> tuple[int, int]:
        return heads, length if causal else 2 * length - 1

    def weights(self, Q: int, N: int, mask_BN: Tensor | None) -> Tensor:
        position_N = torch.arange(N, device=self.table.device)
        offset_QN = position_N[N - Q :, None] - position_N
        known_QN = offset_QN.abs() < self.length
        columns_QN = offset_QN.clamp(-self.length, self.length - 1) % self.table.shape[1]  # negative: from the end
        return masked_softmax(self.table[:, columns_QN], allowed=self.allowed(Q, N, mask_BN) & known_QN)
