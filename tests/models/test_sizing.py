"""Arms are matched within 2 % of a block with full attention, or refused."""

from pathlib import Path

import pytest
import yaml

from study import parts
from study.mixers.attention import Attention
from study.mixers.convolution import Convolution
from study.mixers.identity import Identity
from study.mixers.recurrent import LSTM
from study.models import sizing

CONF = Path(__file__).parents[2] / "conf" / "mixer"
MIXERS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("*.yaml"))}


def solve(match, mixer=Attention, width=64, ffn_width=256, length=64, causal=True, **settings):
    return sizing.solve_ffn_width(
        match, width=width, ffn_width=ffn_width, length=length, causal=causal, mixer=mixer, settings=settings
    )


@pytest.mark.parametrize("name", MIXERS)
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])
@pytest.mark.parametrize(("width", "ffn_width", "length"), [(64, 256, 64), (128, 512, 1024), (32, 300, 17)])
@pytest.mark.parametrize("match", ["parameters", "multiply_adds"])
def test_solved_width_matches_full_attention(name, causal, width, ffn_width, length, match):
    node = dict(MIXERS[name])
    mixer = parts.load("mixer", node.pop("name"))
    own = mixer.parameter_count(width, causal=causal, **mixer.takes(length=length), **node)
    if match == "parameters" and own > sizing.block_parameters(width, ffn_width, 4 * width**2):  # a table of n x n
        with pytest.raises(ValueError, match="alone has more parameters"):
            solve(match, mixer, width, ffn_width, length, causal, **node)
        return
    solved = solve(match, mixer, width, ffn_width, length, causal, **node)
    shape = {"width": width, "causal": causal, "layers": 3, "length": length}
    if match == "parameters":
        ours = sizing.other_parameters(**shape, ffn_width=solved, mixer=mixer, settings=node)
        full = sizing.other_parameters(**shape, ffn_width=ffn_width, mixer=Attention, settings={})
    else:
        ours = sizing.multiply_adds(**shape, ffn_width=solved, mixer=mixer, settings=node)
        full = sizing.multiply_adds(**shape, ffn_width=ffn_width, mixer=Attention, settings={})
    assert ours == pytest.approx(full, rel=sizing.TOLERANCE)


def test_full_attention_matches_itself():
    assert solve("parameters") == solve("multiply_adds") == solve("nothing") == 256


def test_width_is_solved_by_hand():
    """Width 64: attention has 4 * 64^2 = 16384 parameters and none is 0; a unit of the FFN has 129: 127.007 units."""
    assert solve("parameters", Identity) == 256 + 127
    """Attention at n = 64 has 4 * 64^2 + 2 * 64 * 64 = 24576 multiply-adds; a unit of the FFN has 128: 192 units."""
    assert solve("multiply_adds", Identity) == 256 + 192


def test_narrow_heads_are_matched_too():
    assert solve("parameters", heads=8, head_width=4) > 256 > solve("parameters", heads=8, head_width=12)


def test_nothing_is_not_matched():
    assert solve("nothing", LSTM) == 256


def test_a_mixer_bigger_than_the_block_is_refused_with_a_width_that_would_do():
    with pytest.raises(ValueError, match="mixer=convolution alone has more parameters.*use ffn_width=") as error:
        solve("parameters", Convolution, ffn_width=32, kernel=5)
    mend = int(str(error.value).split("use ffn_width=")[1].split()[0])
    assert solve("parameters", Convolution, ffn_width=mend, kernel=5) >= 1
    with pytest.raises(ValueError):
        solve("parameters", Convolution, ffn_width=mend - 1, kernel=5)


def test_no_match_within_two_percent_is_refused():
    with pytest.raises(ValueError, match="within 2%"):
        solve("parameters", Identity, width=2, ffn_width=1)


def test_unknown_match_is_refused():
    with pytest.raises(ValueError, match="parameters, multiply_adds, nothing"):
        solve("size")
