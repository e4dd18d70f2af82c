"""Counted multiply-adds by hand, and against torch's own counter, which sees what the kernels are given, for every part.

B batch, N positions, D width, V classes.
"""

import itertools
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from study.attention import scoring
from study.cost.counting import multiply_adds, sketched
from study.mixers.attention import Attention
from study.mixers.shared import Frozen
from study.mixers.window import WindowAttention
from study.models.base import Architecture
from tests.cases import names, part

pytestmark = pytest.mark.filterwarnings("ignore:TF32")
N, D, V = 24, 8, 5


def mixer(name, causal=True, width=D, **keys):
    return part("mixer", name)(width, causal=causal, length=N, **keys)


def by_torch(call, *inputs):
    """From kernels that its counter can see into."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), counter:
        call(*inputs)
    return counter.get_total_flops() / 2


def test_by_hand():
    assert multiply_adds(nn.Linear(3, 5), torch.randn(7, 3)) == 7 * 3 * 5
    assert multiply_adds(nn.Conv1d(2, 4, 3, padding=1), torch.randn(1, 2, 10)) == 10 * 2 * 4 * 3
    assert multiply_adds(nn.LSTM(3, 5, num_layers=2, batch_first=True), torch.randn(2, 7, 3)) == 2 * 7 * 20 * (3 + 5 + 5 + 5)
    assert multiply_adds(nn.GRUCell(3, 5), torch.randn(2, 3)) == 2 * 15 * (3 + 5)
    assert (
        multiply_adds(partial(torch.einsum, "bhnk,hak->hbna"), torch.randn(2, 3, 4, 5), torch.randn(3, 7, 5))
        == 2 * 3 * 4 * 5 * 7
    )
    q, k, v = torch.randn(2, 4, 3), torch.randn(2, 6, 3), torch.randn(2, 6, 7)
    assert multiply_adds(F.scaled_dot_product_attention, q, k, v) == 2 * 4 * 6 * (3 + 7)
    assert multiply_adds(torch.matmul, q, k.mT) == multiply_adds(torch.bmm, q, k.mT) == 2 * 4 * 6 * 3
    assert multiply_adds(lambda: torch.randn(4, 4).relu().softmax(-1)) == 0


def test_counting_draws_nothing_and_keeps_no_graph():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    multiply_adds(lambda: torch.randn(3) @ torch.randn(3, requires_grad=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_parameters_are_trainable_and_what_is_shared_counts_once():
    class Net(Architecture):
        def __init__(self):
            super().__init__()
            self.table, self.frozen = nn.Linear(3, 5), Frozen(3, 5)
            self.body = nn.ModuleList([self.table, nn.Linear(5, 2)])

        def tables(self):
            return [self.table]

    assert Net().parameter_counts() == {"embedding": 20, "other": 12}


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_what_is_sketched_draws_nothing_and_has_every_size(device):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with sketched(device):
        module = Attention(D, causal=True)
    assert torch.equal(torch.get_rng_state(), before) and sum(p.numel() for p in module.parameters()) == 4 * D**2
    assert {p.device.type for p in module.parameters()} == {device}


# --- every part, against torch's counter -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", names("mixer"))
def test_mixers(name):
    for causal in (True, False):
        layer, x_BND = mixer(name, causal), torch.randn(2, N, D)
        assert multiply_adds(layer, x_BND) == by_torch(layer, x_BND), f"causal={causal}"
        if not isinstance(layer, WindowAttention):
            assert multiply_adds(layer.counted_as, x_BND) == multiply_adds(layer, x_BND), f"causal={causal}"


@pytest.mark.parametrize("name", names("readout"))
def test_readouts(name):
    readout = part("readout", name)(D, causal=True).eval()
    given = torch.randn(1, N, D), torch.tensor([[N - 1]]), None, nn.Linear(D, V)
    assert multiply_adds(readout, *given) == by_torch(readout, *given) >= D * V


@pytest.mark.parametrize("name", names("position"))
def test_positions(name):
    layer, x_BND = mixer("attention"), torch.randn(1, N, D)
    bare, position = multiply_adds(layer, x_BND), part("position", name)(D, length=N)
    layer.attach(position)
    assert multiply_adds(layer, x_BND) == by_torch(layer, x_BND)
    assert (multiply_adds(layer, x_BND) > bare) == (name == "relative")
    assert multiply_adds(position, x_BND) == 0


def test_scores(monkeypatch):
    for name, (heads, head_width), block in itertools.product(scoring.SCORES, [(1, 8), (3, 5)], (2**22, 64)):
        monkeypatch.setattr(scoring, "BLOCK", block)
        score, (q, k) = scoring.SCORES[name](heads, head_width), torch.randn(2, 3, heads, 11, head_width)
        assert multiply_adds(score, q, k) == by_torch(score, q, k), (name, heads, block)


# --- what the claims say ---------------------------------------------------------------------------------------------

CLOSED = {  # in N and D: Vaswani et al. 2017, table 1, with the projections counted
    "attention": 4 * N * D**2 + 2 * N**2 * D,
    "lstm": 8 * N * D**2,
    "gru": 6 * N * D**2,
    "elman": 2 * N * D**2,
    "convolution": 2 * 5 * N * D**2,  # its gate doubles the outputs
    "dilated": 2 * 5 * N * D**2,
    "static": 2 * N * D**2 + N**2 * D,
    "identity": 0,
}


def test_the_closed_forms_that_the_claims_speak_of():
    assert {name: multiply_adds(mixer(name), torch.randn(1, N, D)) for name in CLOSED} == CLOSED


def test_a_window_is_counted_by_the_keys_that_a_query_in_the_middle_sees():
    for causal, window, length in itertools.product((True, False), (2, 8, 64), (5, 200)):
        layer = WindowAttention(D, causal=causal, window=window)
        keys = min(length, int(layer.allowed(200, torch.device("cpu"))[100].sum()))
        counted = multiply_adds(layer.counted_as, torch.randn(1, length, D))
        assert counted == length * (4 * D**2 + 2 * keys * D), (causal, window, length)
