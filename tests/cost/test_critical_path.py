"""The longest chain of operations: by hand, then how it grows with the length in each mixer."""

import pytest
import torch

from study.cost.critical_path import critical_path
from study.cost.plain import PlainForm
from study.mixers.attention import Attention
from study.mixers.convolution import Convolution, DilatedConvolution
from study.mixers.identity import Identity
from study.mixers.recurrent import GRU, LSTM, Elman
from study.mixers.window import WindowAttention


def test_by_hand():
    x = torch.randn(3, requires_grad=True)
    assert critical_path(x) == 0 and critical_path(torch.randn(3)) == 0
    assert critical_path(x.exp()) == 1
    assert critical_path(x.exp().sin() + x) == 3  # the longer of two branches, and the sum
    assert critical_path((x * x).sum() + (x + 1).exp().sin().sum()) == 5
    y = x
    for _ in range(40):
        y = y + y  # 2^40 paths, 40 operations
    assert critical_path(y) == 40


def of(mixer, length, **keys):
    return critical_path(PlainForm(mixer(8, causal=True, **keys))(torch.randn(1, length, 8, requires_grad=True)))


@pytest.mark.parametrize("mixer", [Attention, WindowAttention, Convolution, DilatedConvolution])
def test_parallel_mixers_have_a_path_of_one_length(mixer):
    assert of(mixer, 64) == of(mixer, 128) == of(mixer, 256) > 1
    assert of(Identity, 64) == 0


@pytest.mark.parametrize("mixer", [LSTM, GRU, Elman])
def test_a_recurrence_waits_for_each_position(mixer):
    once, twice, thrice = (of(mixer, n) for n in (32, 64, 96))
    assert thrice - twice == twice - once >= 32  # as much more for each further position, one operation at least
    assert once < 2 * (twice - once)  # and little beside
