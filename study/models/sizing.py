"""Closed forms of a model's size and work, and the FFN width that makes two arms equal in one of them.

Multiply-adds are per token and forward pass, and count matrix products only.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from study.mixers.attention import Attention
from study.mixers.base import Mixer
from study.models.arrangements import ARRANGEMENTS
from study.parts import choice

Match = Literal["parameters", "multiply_adds", "nothing"]
TOLERANCE = 0.02  # of a block's parameters or multiply-adds


def block_parameters(width: int, ffn_width: int, mixer_parameters: int) -> int:
    """Mixer, and FFN with biases."""
    return mixer_parameters + (2 * width + 1) * ffn_width + width


def block_multiply_adds(width: int, ffn_width: int, mixer_multiply_adds: float) -> float:
    return mixer_multiply_adds + 2 * width * ffn_width


def other_parameters(
    *,
    width: int,
    layers: int,
    ffn_width: int,
    length: int,
    causal: bool,
    mixer: type[Mixer],
    settings: Mapping[str, Any],
    arrangement: str = "pre_norm",
    readout_parameters: int = 0,
) -> int:
    """All parameters but token table, positions and head; `settings` are the mixer's own keywords."""
    own = mixer.parameter_count(width, causal=causal, **mixer.takes(length=length), **settings)
    arranged = ARRANGEMENTS[arrangement]
    norms = 2 * layers * arranged.norms + arranged.norm_last
    return layers * block_parameters(width, ffn_width, own) + norms * 2 * width + readout_parameters


def embedding_parameters(*, width: int, vocabulary: int, classes: int, position_parameters: int, tie: str = "none") -> int:
    """Token table, positions, and head with its bias; tied to the head, there is no table beside it."""
    table = 0 if tie == "output" else vocabulary * width
    return table + position_parameters + (width + 1) * classes


def multiply_adds(
    *,
    width: int,
    layers: int,
    ffn_width: int,
    length: int,
    causal: bool,
    mixer: type[Mixer],
    settings: Mapping[str, Any],
    classes: int = 0,
    scored: float = 1.0,
) -> float:
    """Of the whole model, per token; `scored` is the share of positions that the head is computed at."""
    own = mixer.multiply_adds(width, length, causal=causal, **settings)
    return layers * block_multiply_adds(width, ffn_width, own) + scored * width * classes


def untied_ffn_width(*, width: int, layers: int, ffn_width: int, vocabulary: int) -> int:
    """The FFN width at which an untied model has as many parameters in all as a tied one with `ffn_width`.

    Raises ValueError when the token table alone outweighs the feed-forward nets.
    """
    unit = layers * (2 * width + 1)
    table = vocabulary * width
    solved = round(ffn_width - table / unit)
    if solved < 1:
        raise ValueError(
            f"match=tied: a token table of {vocabulary} x {width} outweighs {layers} feed-forward nets of {ffn_width}; "
            f"use ffn_width={ffn_width + 1 - solved} or more"
        )
    return solved


def solve_ffn_width(
    match: Match,
    *,
    width: int,
    ffn_width: int,
    length: int,
    causal: bool,
    mixer: type[Mixer],
    settings: Mapping[str, Any],
    share: float = 0.0,
) -> int:
    """The FFN width at which a block with `mixer` matches one with full attention (4 D^2 parameters) and `ffn_width`.

    `share` is what falls to the block of the readout's parameters; match="multiply_adds" counts the blocks alone.
    Raises ValueError when the mixer alone is bigger than that block, or no whole width comes within 2 %.
    """
    if match == "nothing":
        return ffn_width
    if match == "parameters":
        own = mixer.parameter_count(width, causal=causal, **mixer.takes(length=length), **settings) + share
        full = float(Attention.parameter_count(width, causal=causal, heads=1))
        per_unit, target = 2 * width + 1, float(block_parameters(width, ffn_width, int(full)))
    elif match == "multiply_adds":
        own = mixer.multiply_adds(width, length, causal=causal, **settings)
        full = Attention.multiply_adds(width, length, causal=causal, heads=1)
        per_unit, target = 2 * width, block_multiply_adds(width, ffn_width, full)
    else:
        raise ValueError(f"match={match!r} must be one of {', '.join(get_args(Match))}")
    solved = round(ffn_width + (full - own) / per_unit)
    if solved < 1:
        needed = ffn_width + 1 - solved
        raise ValueError(
            f"{choice(mixer)} alone has more {match} than a block with full attention and ffn_width={ffn_width}; "
            f"use ffn_width={needed} or more, a smaller mixer, or match=nothing"
        )
    error = abs(own - full + per_unit * (solved - ffn_width)) / target
    if error > TOLERANCE:
        raise ValueError(
            f"no ffn_width brings {choice(mixer)} within {TOLERANCE:.0%} of full attention at width={width}; "
            "use a larger width, or match=nothing"
        )
    return solved
