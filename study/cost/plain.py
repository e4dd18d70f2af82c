"""A mixer's plain form: the same numbers from single operations, each of which can be counted.

Shapes: B batch, N positions, D width.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from study.mixers.base import Mixer

CELLS: dict[str, Any] = {"LSTM": torch.lstm_cell, "GRU": torch.gru_cell, "RNN_TANH": torch.rnn_tanh_cell}


class CellByCell(nn.Module):
    """One layer of a torch recurrence, a cell per position; the fused kernel is a single operation that hides its products."""

    def __init__(self, fused: nn.RNNBase) -> None:
        super().__init__()
        self.fused, self.cell = fused, CELLS[fused.mode]

    def forward(self, x_BND: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if state is None:
            zero_BD = x_BND.new_zeros(x_BND.shape[0], self.fused.hidden_size)
            state = (zero_BD, zero_BD) if self.fused.mode == "LSTM" else zero_BD
        outputs = []
        for x_BD in x_BND.unbind(1):
            state = self.cell(x_BD, state, *self.fused.all_weights[0])
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs, 1), state


class PlainForm(nn.Module):
    """A copy of ``mixer`` with its recurrences cell by cell and its attention as two matrix products and a softmax."""

    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self.mixer = copy.deepcopy(mixer)
        for name, child in list(self.mixer.named_children()):
            if isinstance(child, nn.RNNBase):
                setattr(self.mixer, name, CellByCell(child))

    def forward(self, x_BND: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return self.mixer(x_BND)
