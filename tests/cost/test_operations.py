"""Counted multiply-adds against hand counts and against every mixer's closed form."""

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from study import parts
from study.cost.operations import counted_multiply_adds
from study.cost.plain import PlainForm
from study.mixers.window import CHUNK, WindowAttention
from tests.conftest import CONF

N, D = 24, 8
NAMES = sorted({path.stem for path in (CONF / "mixer").glob("*.yaml")} - {"window"})  # of that one see below


def test_a_linear_map_and_a_convolution_by_hand():
    assert counted_multiply_adds(lambda: nn.Linear(3, 5)(torch.randn(7, 3))) == 7 * 3 * 5
    assert counted_multiply_adds(lambda: nn.Conv1d(2, 4, 3, padding=1)(torch.randn(1, 2, 10))) == 10 * 2 * 4 * 3
    assert counted_multiply_adds(lambda: torch.randn(4, 4).relu().softmax(-1)) == 0


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_each_mixer_carries_out_what_its_closed_form_says(name, causal):
    keys = OmegaConf.to_container(OmegaConf.load(CONF / "mixer" / f"{name}.yaml"))
    mixer = parts.load("mixer", keys.pop("name"))
    plain = PlainForm(mixer(D, causal=causal, **mixer.takes(length=N), **keys))
    counted = counted_multiply_adds(lambda: plain(torch.randn(2, N, D)))
    assert counted == 2 * N * mixer.multiply_adds(D, N, causal=causal, **keys)


CLOSED = {  # in N and D: Vaswani et al. 2017, table 1, with the projections counted
    "attention": 4 * N * D**2 + 2 * N**2 * D,
    "lstm": 8 * N * D**2,
    "gru": 6 * N * D**2,
    "elman": 2 * N * D**2,
    "convolution": 2 * 5 * N * D**2,  # its gate doubles the outputs
    "dilated": 2 * 5 * N * D**2,
    "identity": 0,
}


@pytest.mark.parametrize("name", CLOSED)
def test_the_closed_forms_that_the_claims_speak_of(name):
    keys = OmegaConf.to_container(OmegaConf.load(CONF / "mixer" / f"{name}.yaml"))
    plain = PlainForm(parts.load("mixer", keys.pop("name"))(D, causal=True, **keys))
    assert counted_multiply_adds(lambda: plain(torch.randn(1, N, D))) == CLOSED[name]


def test_a_window_carries_out_whole_chunks():
    window, length = 4, 3 * CHUNK
    plain = PlainForm(WindowAttention(D, causal=True, window=window))
    counted = counted_multiply_adds(lambda: plain(torch.randn(1, length, D)))
    assert counted == length * (4 * D**2 + 2 * (window + CHUNK) * D)  # per query a chunk's keys and the window before them
    assert counted > length * WindowAttention.multiply_adds(D, length, causal=True, window=window)


def test_a_fused_recurrence_hides_its_products():
    """Why there is a plain form."""
    fused = nn.LSTM(D, D, batch_first=True)
    assert counted_multiply_adds(lambda: fused(torch.randn(1, N, D))) < 8 * N * D**2
