"""What every position encoding offers: it is added to the embedding, or it acts inside attention.

Shapes: B batch, N queries, M keys, D width, H heads, K head width.
"""

from typing import Any

import torch
from torch import Tensor, nn


class Position(nn.Module):
    """Adds the encodings of positions start .. start + N - 1 to x (B, N, D), in float32.

    A new one is a class in this folder and a yaml in conf/position; tests/positions tests every yaml.

    - The constructor's own keywords are the configuration, which the yaml alone explains: defaults, words and bounds; the rest,
      `**given`, goes to the base.
    - `forward`; or, for one that acts inside attention, `InsidePosition.inside`.
    - Encodings start with the same norm, RMS sqrt(1/2) per position, so that they are as large in every arm.
    - A part of a sequence is encoded as in the whole; `longest` says where positions end, with a ValueError beyond.
    """

    name: str  # as the command line calls it, position=NAME
    longest: int | None = None  # how many positions it has; None: any number

    def __init__(self, width: int, *, length: int) -> None:
        """`width`: D. `length`: longest sequence in training."""
        super().__init__()
        self.width, self.length = width, length

    def forward(self, x_BND: Tensor, start: int = 0) -> Tensor:
        raise NotImplementedError


class Inside(nn.Module):
    """What a position does inside the attention of one layer, in float32: nothing, until a subclass says otherwise.

    The queries of a call stand at positions start .. start + N - 1, the keys at 0 .. M - 1.
    """

    fused = False  # True: `rotate` is all it does, so that fused kernels can follow

    def rotate(self, x_BHNK: Tensor, start: int = 0) -> Tensor:
        """Queries or keys at positions start .. start + N - 1, turned by their positions."""
        return x_BHNK

    def bias(self, q_BHNK: Tensor, M: int, start: int = 0) -> Tensor | None:
        """What is added to the scaled scores; broadcasts to (B, H, N, M)."""
        return None

    def values(self, weights_BHNM: Tensor, start: int = 0) -> Tensor | None:
        """What is added to the weighted mean of the values, (B, H, N, K)."""
        return None


class InsidePosition(Position):
    """A position that leaves the embedding alone and acts inside attention."""

    def forward(self, x_BND: Tensor, start: int = 0) -> Tensor:
        return x_BND

    def inside(self, heads: int, head_width: int, *, causal: bool) -> Inside:
        """The module of one more layer; called once a layer. The same module each time: the layers share it."""
        raise NotImplementedError


def offsets(N: int, M: int, start: int, device: Any = None) -> Tensor:
    """(N, M): position of the key minus position of the query."""
    return torch.arange(M, device=device) - torch.arange(start, start + N, device=device)[:, None]
