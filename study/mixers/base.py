"""What every sequence mixer offers: one layer that moves information between positions.

Shapes: B batch, N positions, D width, H heads.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from study.parts import choice
from study.positions.base import Inside, InsidePosition, Position


class Mixer(nn.Module):
    """(B, N, D) -> (B, N, D), causal or bidirectional, with a state-passing step for causal decoding.

    A new one is a class in this folder and a yaml in conf/mixer; tests/mixers/test_every_mixer.py tests every yaml.

    - The constructor's own keywords are the configuration, which the yaml alone explains: defaults, words and bounds; the rest,
      `**given`, goes to the base. Wrong values raise a one-line ValueError that says what is allowed.
    - `forward`, and beside it `_empty_state` and `step`, which equals it position by position.
    - No output depends on padding (`mask_BN` False) on either side, nor, when causal, on what comes later.
    - `reach` and `longest` say what is so; a mixer with attention weights sets `has_maps` and gives `maps`.
    - Matrices start by `initialise_`, biases at 0 or 1, drawn in an order that no keyword changes.
    """

    name: str  # as the command line calls it, mixer=NAME
    reach: int | None = None  # how many positions away (to one side) ONE layer sees; None: all of them
    longest: int | None = None  # how many positions a sequence may have; ValueError beyond. None: any number
    has_maps: bool = False  # whether `maps` gives attention weights
    recurrence: nn.RNNBase | None = None  # what takes a step at each position, one after the other, if anything does

    def __init__(self, width: int, *, causal: bool, layer: int = 0, length: int = 0) -> None:
        """`width`: D. `causal`: position n sees 0..n only. `layer`: its index, from 0. `length`: N in training."""
        super().__init__()
        self.width, self.causal, self.layer, self.length = width, causal, layer, length
        self.inside: Inside | None = None  # what a position does in here

    def attach(self, position: Position) -> None:
        """Let a position act inside this layer. Raises ValueError where it wants to and the mixer has no place for it."""
        if isinstance(position, InsidePosition):
            raise ValueError(
                f"{choice(type(position))} acts inside full attention, not in {choice(type(self))}; use mixer=attention, "
                "or position=sinusoidal, learned or none"
            )

    def forward(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        """`mask_BN`: True at real tokens. Outputs at padding mean nothing, but are finite."""
        raise NotImplementedError

    def counted_as(self, x_BND: Tensor) -> Tensor:
        """What is run to count the layer's multiply-adds: `forward`, unless a class says otherwise, and why."""
        return self(x_BND)

    def initial_state(self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Any:
        """State before the first token. Raises ValueError unless causal."""
        if not self.causal:
            raise ValueError(f"{choice(type(self))} steps only when causal; build it with causal=True")
        return self._empty_state(batch, device, dtype)

    def _empty_state(self, batch: int, device: torch.device | str | None, dtype: torch.dtype | None) -> Any:
        raise NotImplementedError

    def step(self, x_BD: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One position: (output (B, D), next state)."""
        raise NotImplementedError

    def maps(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        """Attention weights (B, H, N, N), rows are queries; only where `has_maps`."""
        raise NotImplementedError


def real_first(mix: Callable[[Tensor], Tensor], x_BND: Tensor, mask_BN: Tensor) -> Tensor:
    """`mix` of the real tokens moved to the front, in order, each output put back in its place.

    Sorting on the device, rather than packing, needs no lengths on the host.
    """
    order_BN = (~mask_BN).byte().argsort(dim=1, stable=True)
    batch_B1 = torch.arange(x_BND.shape[0], device=x_BND.device)[:, None]
    y_BND = mix(x_BND[batch_B1, order_BN])
    return y_BND[batch_B1, order_BN.argsort(1)]


def initialise_(weight: Tensor) -> None:
    """The study's one start for linear maps: uniform on +-1/sqrt(fan-in); axis 0 of `weight` is the output."""
    bound = 1 / math.sqrt(weight[0].numel())
    nn.init.uniform_(weight, -bound, bound)


def linear(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """A linear map started by `initialise_`, its bias at zero."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    initialise_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
