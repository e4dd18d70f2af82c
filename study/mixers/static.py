"""Mixers whose weights between positions are parameters: trained once, the same for every input.

Shapes: B batch, N positions, Q queries (the last ones of N), D width, H heads, K head width.
"""

import torch
from torch import Tensor, nn

from study.mixers.attention import resolve_head_width
from study.mixers.base import Mixer, initialise_, linear, real_first
from study.parts import choice


class Static(Mixer):
    """y = W v in each head, W from parameters and v projected from x, all heads projected to y; no biases.

    Args:
        length: the training length, which the table of weights is made for; >= 1.
        heads: number of heads, each with a W of its own; >= 1, must divide `width`.
    """

    def __init__(self, width: int, *, causal: bool, length: int, heads: int = 4, layer: int = 0) -> None:
        super().__init__(width, causal=causal, layer=layer)
        self.heads, self.head_width, self.length = heads, resolve_head_width(width, heads, None), length
        self.value = linear(width, width, bias=False)
        self.out = linear(width, width, bias=False)
        self.table = nn.Parameter(torch.empty(self.table_shape(heads, length, causal)))
        initialise_(self.table)

    @staticmethod
    def table_shape(heads: int, length: int, causal: bool) -> tuple[int, int]:
        """Of the parameter that holds the heads' weights; axis 0 is the output."""
        raise NotImplementedError

    def weights(self, Q: int, N: int, mask_BN: Tensor | None) -> Tensor:
        """W of the last Q of N positions over all N: (H, Q, N), or (B, H, Q, N) with a mask; padding stands last."""
        raise NotImplementedError

    def allowed(self, Q: int, N: int, mask_BN: Tensor | None) -> Tensor:
        """(Q, N), or (B, 1, Q, N) with a mask: True where a query may look."""
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

    def __init__(self, width: int, *, causal: bool, length: int, heads: int = 4, layer: int = 0) -> None:
        super().__init__(width, causal=causal, length=length, heads=heads, layer=layer)
        self.longest = length

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
        return softmax(self.entries(Q, N), self.allowed(Q, N, mask_BN))


class StaticOffset(Static):
    """W is the softmax of one learned number for each distance and direction: runs at any length.

    Offsets of the training length or more, which no training sequence has, get no weight.
    """

    name = "static_offset"

    def __init__(self, width: int, *, causal: bool, length: int, heads: int = 4, layer: int = 0) -> None:
        super().__init__(width, causal=causal, length=length, heads=heads, layer=layer)
        self.reach = length - 1

    @staticmethod
    def table_shape(heads: int, length: int, causal: bool) -> tuple[int, int]:
        return heads, length if causal else 2 * length - 1

    def weights(self, Q: int, N: int, mask_BN: Tensor | None) -> Tensor:
        position_N = torch.arange(N, device=self.table.device)
        offset_QN = position_N[N - Q :, None] - position_N
        known_QN = offset_QN.abs() < self.length
        columns_QN = offset_QN.clamp(-self.length, self.length - 1) % self.table.shape[1]  # negative: from the end
        return softmax(self.table[:, columns_QN], self.allowed(Q, N, mask_BN) & known_QN)


def softmax(logits: Tensor, allowed: Tensor) -> Tensor:
    """Over the last axis where allowed; all zeros where nothing is."""
    some = allowed.any(-1, keepdim=True)
    return logits.masked_fill(~allowed & some, float("-inf")).softmax(-1) * some
