"""The hidden width that is solved for, on models as they are built."""

import pytest
import torch

from study.mixers.attention import Attention
from study.models.seq2seq.conv_s2s import ConvS2S
from study.models.seq2seq.sizing import solve_hidden
from study.models.seq2seq.transformer import Transformer
from study.models.sizing import TOLERANCE
from study.positions.learned import Learned
from study.positions.sinusoidal import Sinusoidal

D, L = 32, 2
GIVEN = {"width": D, "layers": L, "source_length": 10, "target_length": 12}


def transformer(hidden):
    return Transformer(
        50,
        60,
        hidden=hidden,
        mixer=lambda causal, layer: Attention(D, causal=causal, layer=layer),
        position=lambda length: Sinusoidal(D, length=length),
        **GIVEN,
    )


def conv_s2s(hidden):
    return ConvS2S(50, 60, hidden=hidden, position=lambda length: Learned(D, length=length), **GIVEN)


KIND = pytest.mark.parametrize("build", [transformer, conv_s2s])


@KIND
@pytest.mark.parametrize("target", [30_000, 60_000, 200_000, 1_000_003])
def test_the_real_model_has_the_parameters_asked_for(build, target):
    hidden = solve_hidden(build, target)
    before, found, after = (abs(build(h).parameter_counts()["other"] - target) for h in (hidden - 1, hidden, hidden + 1))
    assert found <= TOLERANCE * target and found <= min(before, after)


@KIND
@pytest.mark.parametrize("hidden", [1, 2, 3, 64, 129])
def test_it_finds_the_width_of_a_model_again(build, hidden):
    assert solve_hidden(build, build(hidden).parameter_counts()["other"]) == hidden


def test_the_width_is_solved_by_hand():
    """Attentions of 4 D^2: one a layer, in the decoder two; nets (2 D + 1) F + D; norms of 2 D: 2 and 3 a layer, 1 last."""
    fixed = L * (3 * 4 * D**2 + 2 * D + 5 * 2 * D) + 2 * 2 * D
    assert solve_hidden(transformer, fixed + L * 2 * (2 * D + 1) * 77) == 77


def test_nothing_is_allocated_and_no_random_number_drawn():
    torch.manual_seed(3)
    before, devices = torch.get_rng_state(), set()

    def build(hidden):
        model = transformer(hidden)
        devices.update(p.device.type for p in model.parameters())
        return model

    solve_hidden(build, 60_000)
    assert torch.equal(torch.get_rng_state(), before) and devices == {"meta"}


@KIND
def test_too_few_parameters_are_refused_with_the_fewest_that_there_are(build):
    with pytest.raises(ValueError, match="even hidden=1 has .*; use model.match=nothing") as error:
        solve_hidden(build, 200)
    least = int(str(error.value).split("hidden=1 has ")[1].split()[0])
    assert solve_hidden(build, least) == 1


def test_a_gap_wider_than_the_tolerance_is_refused():
    """From hidden 1 to 2 this ConvS2S grows by more than 4 %."""
    small, next_one = (conv_s2s(hidden).parameter_counts()["other"] for hidden in (1, 2))
    middle = (small + next_one) // 2
    assert next_one - small > 3 * TOLERANCE * middle
    with pytest.raises(ValueError, match="no hidden width comes within 2% of"):
        solve_hidden(conv_s2s, middle)
