"""The width that is solved for: on numbers, and on models as they are built."""

import pytest

from study.cost.counting import sketched
from study.mixers.attention import Attention
from study.models.seq2seq.conv_s2s import ConvS2S
from study.models.seq2seq.transformer import Transformer
from study.models.sizing import TOLERANCE, solve_width
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


def solve(count, target):
    return solve_width(count, target, key="hidden", what="parameters")


def counted(build):
    def count(hidden):
        with sketched():
            return build(hidden).parameter_counts()["other"]

    return count


KIND = pytest.mark.parametrize("build", [transformer, conv_s2s])


@KIND
@pytest.mark.parametrize("target", [30_000, 60_000, 200_000, 1_000_003])
def test_the_real_model_has_the_parameters_asked_for(build, target):
    hidden = solve(counted(build), target)
    before, found, after = (abs(build(h).parameter_counts()["other"] - target) for h in (hidden - 1, hidden, hidden + 1))
    assert found <= TOLERANCE * target and found <= min(before, after)


def test_it_finds_a_width_again_or_the_nearest_whole_one():
    """10 widths cost 1070 and 11 cost 1080, so that 1075 would be halfway."""
    for count in (lambda width: 7 * width + 1000, lambda width: 3 * width**2 + 5 * width):
        assert [solve(count, count(width)) for width in (1, 2, 3, 64, 129)] == [1, 2, 3, 64, 129]
    assert [solve(lambda width: 970 + 10 * width, target) for target in (1069, 1074, 1076)] == [10, 10, 11]


def test_the_width_is_solved_by_hand():
    """Attentions of 4 D^2: one a layer, in the decoder two; nets (2 D + 1) F + D; norms of 2 D: 2 and 3 a layer, 1 last."""
    fixed = L * (3 * 4 * D**2 + 2 * D + 5 * 2 * D) + 2 * 2 * D
    assert solve(counted(transformer), fixed + L * 2 * (2 * D + 1) * 77) == 77


def test_too_few_are_refused_with_the_fewest_that_there_are():
    with pytest.raises(
        ValueError, match="^even hidden=1 has 1007 parameters, more than the 200 to be matched; use model.match="
    ):
        solve(lambda width: 7 * width + 1000, 200)
    assert solve(lambda width: 7 * width + 1000, 1007) == 1


def test_a_gap_wider_than_the_tolerance_is_refused():
    with pytest.raises(
        ValueError, match="^no hidden comes within 2% of 150 parameters, hidden=1 has 100; use model.match=nothing"
    ):
        solve(lambda width: 100 * width, 150)
