"""The hidden width that gives an encoder-decoder a number of parameters."""

import functools
from collections.abc import Callable

import torch

from study.models.seq2seq.base import EncoderDecoder
from study.models.sizing import TOLERANCE


def solve_hidden(build: Callable[[int], EncoderDecoder], target: int) -> int:
    """The hidden width at which `build` gives a model whose parameters beside the embeddings come nearest to `target`.

    They must grow with it. Models are built on the meta device: nothing is allocated, no random number drawn.
    Raises ValueError when `target` is too few for the architecture, or no whole width comes within 2 %.
    """

    @functools.cache
    def count(hidden: int) -> int:
        with torch.device("meta"):
            return build(hidden).parameter_counts()["other"]

    below, above = 1, 2
    if (least := count(below)) > target * (1 + TOLERANCE):
        raise ValueError(
            f"even hidden=1 has {least} non-embedding parameters, more than the {target} to be matched; "
            f"use model.match=nothing, a larger model.ffn_width, fewer layers or a smaller width"
        )
    while count(above) < target:
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if count(middle) < target else (below, middle)
    nearest = min(below, above, key=lambda hidden: abs(count(hidden) - target))
    if abs((found := count(nearest)) - target) > TOLERANCE * target:
        raise ValueError(
            f"no hidden width comes within {TOLERANCE:.0%} of {target} non-embedding parameters, hidden={nearest} has {found}; "
            f"use model.match=nothing, or another model.ffn_width or model.width"
        )
    return nearest
