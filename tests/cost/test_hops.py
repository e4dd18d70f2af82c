"""Hops against the formulas: 1, n, n/r, n/k, log_k n."""

import math

import pytest
import torch

from study.cost.hops import carries, hops, sources
from study.mixers.attention import Attention
from study.mixers.convolution import Convolution, DilatedConvolution
from study.mixers.identity import Identity
from study.mixers.recurrent import GRU, LSTM, Elman
from study.mixers.window import WindowAttention

LENGTHS = (2, 9, 33, 81)


def stack(mixer, causal=True, **keys):
    return lambda layer: mixer(4, causal=causal, layer=layer, **keys)


@pytest.mark.parametrize("causal", [True, False])
def test_one_layer_of_full_attention_reads_every_input(causal):
    """And so any two positions are one hop apart, whatever lies between."""
    build = stack(Attention, causal)
    for length in LENGTHS:
        assert sources(build(0), torch.arange(length) == length - 1).all()
        assert hops(build, length) == 1


def test_a_window_takes_n_over_r_a_convolution_n_over_k_and_a_dilated_one_the_logarithm():
    for n in LENGTHS:
        assert hops(stack(WindowAttention, window=4), n) == math.ceil((n - 1) / 4)
        assert hops(stack(WindowAttention, causal=False, window=4), n) == math.ceil((n - 1) / 2)
        assert hops(stack(Convolution, kernel=3), n) == math.ceil((n - 1) / 2)
        assert hops(stack(DilatedConvolution, kernel=3), n) == next(layers for layers in range(9) if 3**layers >= n)


@pytest.mark.parametrize("mixer", [LSTM, GRU, Elman])
def test_a_recurrence_takes_a_step_for_each_position(mixer):
    assert [hops(stack(mixer), length) for length in LENGTHS] == [length - 1 for length in LENGTHS]


def test_a_recurrence_that_forgets_carries_nothing():
    recurrence = Elman(4, causal=True)
    torch.nn.init.zeros_(recurrence.forwards.weight_hh_l0)
    assert not carries(recurrence.forwards)
    assert hops(lambda layer: recurrence, 5) is None


def test_no_mixing_never_gets_there():
    assert hops(stack(Identity), 1) == 0
    assert hops(stack(Identity), 5) is None


def test_sources_are_where_the_jacobian_is_not_zero():
    mixer = WindowAttention(4, causal=True, window=2)
    found = sources(mixer, torch.tensor([False, False, False, True, False, True]))
    assert found.tolist() == [False, True, True, True, True, True]
