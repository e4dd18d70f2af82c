"""The plain form of every mixer gives the numbers of the real one."""

import pytest
import torch
from torch import nn

from study.cost.plain import CellByCell, PlainForm
from study.mixers.attention import Attention
from study.mixers.convolution import Convolution
from study.mixers.recurrent import GRU, LSTM, Elman
from study.mixers.window import WindowAttention

MIXERS = [Attention, WindowAttention, Convolution, Elman, GRU, LSTM]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("mixer", MIXERS)
def test_values_and_gradients_equal_those_of_the_real_module(mixer, causal):
    torch.manual_seed(0)
    real = mixer(8, causal=causal).double()
    plain = PlainForm(real)
    x_BND = torch.randn(2, 9, 8, dtype=torch.double, requires_grad=True)
    pull_BND = torch.randn_like(x_BND)
    for form in (real, plain):
        form.zero_grad()
    torch.testing.assert_close(plain(x_BND), real(x_BND))
    (own,) = torch.autograd.grad(plain(x_BND), x_BND, pull_BND)
    (other,) = torch.autograd.grad(real(x_BND), x_BND, pull_BND)
    torch.testing.assert_close(own, other)


@pytest.mark.parametrize("fused", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrence_goes_on_from_a_state_as_the_fused_one_does(fused):
    real = fused(4, 6, batch_first=True)
    plain = CellByCell(real)
    x_BND = torch.randn(3, 7, 4)
    y_BND, state = plain(x_BND[:, :5])
    rest_BND, _ = plain(x_BND[:, 5:], state)
    torch.testing.assert_close(torch.cat([y_BND, rest_BND], 1), real(x_BND)[0])


def test_the_real_mixer_stays_as_it_is():
    real = LSTM(8, causal=True)
    plain = PlainForm(real)
    assert isinstance(real.forwards, nn.LSTM) and isinstance(plain.mixer.forwards, CellByCell)
    assert plain.mixer.forwards.fused.weight_hh_l0 is not real.forwards.weight_hh_l0
