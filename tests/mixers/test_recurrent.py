"""Recurrences against torch.nn's modules with copied weights."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from study.mixers.recurrent import GRU, LSTM, Elman
from tests.cases import close

PAIRS = pytest.mark.parametrize(("ours", "theirs"), [(Elman, nn.RNN), (GRU, nn.GRU), (LSTM, nn.LSTM)])


def twins(ours, theirs, causal):
    """Our mixer and torch's module with the same random weights."""
    torch.manual_seed(0)
    mixer = ours(12, causal=causal)
    units = 12 if causal else 6
    module = theirs(12, units, batch_first=True, bidirectional=not causal)
    pairs = {"forwards": ""} if causal else {"forwards": "", "backwards": "_reverse"}
    for direction, suffix in pairs.items():
        recurrence = getattr(mixer, direction)
        for name, parameter in recurrence.named_parameters():
            with torch.no_grad():
                parameter.copy_(getattr(module, name + suffix))
    return mixer, module


@PAIRS
@pytest.mark.parametrize("causal", [True, False])
def test_recurrent_is_torchs_module_on_packed_sequences_too(ours, theirs, causal):
    mixer, module = twins(ours, theirs, causal)
    lengths = torch.tensor([4, 11, 1])
    mask_BN = torch.arange(11) < lengths[:, None]
    x_BND = torch.randn(3, 11, 12, requires_grad=True)
    actual, expected = mixer(x_BND), module(x_BND)[0]
    close(actual, expected)
    weight = torch.randn_like(expected)
    gradients = (torch.autograd.grad((y * weight).sum(), [x_BND])[0] for y in (actual, expected))
    close(*gradients)
    packed = pack_padded_sequence(x_BND, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(module(packed)[0], batch_first=True)
    close(mixer(x_BND, mask_BN)[mask_BN], expected[mask_BN])


@pytest.mark.parametrize("causal", [True, False])
def test_lstm_forget_gate_starts_with_bias_one(causal):
    """With zero input and zero weights an LSTM keeps sigmoid(1) of its cell at each step."""
    mixer = LSTM(4, causal=causal)
    for recurrence in filter(None, (mixer.forwards, mixer.backwards)):
        units = recurrence.hidden_size
        with torch.no_grad():
            for name, parameter in recurrence.named_parameters():
                if "weight" in name:
                    parameter.zero_()
        cell = torch.full((1, 1, units), 2.0)
        _, (_, after) = recurrence(torch.zeros(1, 1, 4), (torch.zeros(1, 1, units), cell))
        close(after, cell * torch.tensor(1.0).sigmoid())


def test_odd_width_can_not_be_split_into_two_directions():
    with pytest.raises(ValueError, match="use 8"):
        GRU(7, causal=False)
    GRU(7, causal=True)
