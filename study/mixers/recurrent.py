"""Recurrent mixers on torch's own recurrences (cuDNN on a GPU).

Shapes: B batch, N positions, D width.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from study.mixers.base import Mixer, initialise_, real_first


class PortableLSTM(nn.LSTM):
    """torch's; on a CPU in full precision, also under autocast: its bfloat16 kernel is not there for every processor."""

    def forward(self, x: Tensor, hx: Any = None) -> Any:  # type: ignore[override]
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x, hx)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float(), None if hx is None else tuple(each.float() for each in hx))


class Recurrent(Mixer):
    """One recurrence of `width` units when causal; one of width / 2 in each direction when bidirectional."""

    cell: ClassVar[type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]]

    def __init__(self, width: int, **given: Any) -> None:
        super().__init__(width, **given)
        if not self.causal and width % 2:
            raise ValueError(f"width={width} must be even for two directions of half the width; use {width + 1}")
        units = width if self.causal else width // 2
        self.forwards = self._begun(units)
        self.backwards = None if self.causal else self._begun(units)

    @property
    def recurrence(self) -> nn.RNNBase:  # type: ignore[override]
        return self.forwards

    def _begun(self, units: int) -> nn.RNNBase:
        recurrence = self.cell(self.width, units, batch_first=True)
        for parameter in recurrence.parameters():
            initialise_(parameter) if parameter.ndim == 2 else nn.init.zeros_(parameter)
        return recurrence

    def forward(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        y_BND = run(self.forwards, x_BND, mask_BN)
        if self.backwards is None:
            return y_BND
        mask = None if mask_BN is None else mask_BN.flip(1)
        return torch.cat([y_BND, run(self.backwards, x_BND.flip(1), mask).flip(1)], -1)

    def _empty_state(self, batch, device, dtype) -> Any:
        return torch.zeros(1, batch, self.width, device=device, dtype=dtype)

    def step(self, x_BD: Tensor, state: Any) -> tuple[Tensor, Any]:
        y_B1D, state = self.forwards(x_BD[:, None], state)
        return y_B1D[:, 0], state


class Elman(Recurrent):
    """h = tanh(W x + U h + b) (Elman 1990)."""

    name = "elman"
    cell = nn.RNN


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014), in torch's variant: the reset gate acts after the product."""

    name = "gru"
    cell = nn.GRU


class LSTM(Recurrent):
    """Long short-term memory; its forget gate starts with bias 1 (Gers et al. 2000; Jozefowicz et al. 2015)."""

    name = "lstm"
    cell = PortableLSTM

    def _begun(self, units: int) -> nn.RNNBase:
        recurrence = super()._begun(units)
        assert isinstance(recurrence.bias_ih_l0, Tensor)
        with torch.no_grad():  # torch orders the gates: input, forget, cell, output
            recurrence.bias_ih_l0[units : 2 * units] = 1
        return recurrence

    def _empty_state(self, batch, device, dtype) -> Any:
        hidden = super()._empty_state(batch, device, dtype)
        return hidden, torch.zeros_like(hidden)


def run(recurrence: nn.RNNBase, x_BND: Tensor, mask_BN: Tensor | None) -> Tensor:
    """The recurrence over real tokens only, in order; padding is moved behind them, so it can't touch the state."""
    if mask_BN is None:
        return recurrence(x_BND)[0]
    return real_first(lambda sorted_BND: recurrence(sorted_BND)[0], x_BND, mask_BN)
