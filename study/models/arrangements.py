"""Where the residual connection and the norm stand around a sublayer (a mixer or a feed-forward net).

x is the stream, f the sublayer; Vaswani et al. 2017, section 3.1, is post-norm; Xiong et al. 2020 compare it to pre-norm.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

Norm = Callable[[Tensor], Tensor]


class Arrangement(NamedTuple):
    """A sublayer is given before(x, norm); after(x, y, norm) is what its output y makes of the stream."""

    before: Callable[[Tensor, Norm], Tensor]
    after: Callable[[Tensor, Tensor, Norm], Tensor]
    norms: bool = True  # whether sublayers have norms at all
    norm_last: bool = False  # whether the stream needs a norm after the last block


ARRANGEMENTS = {
    "pre_norm": Arrangement(lambda x, norm: norm(x), lambda x, y, norm: x + y, norm_last=True),  # x + f(norm(x))
    "post_norm": Arrangement(lambda x, norm: x, lambda x, y, norm: norm(x + y)),  # norm(x + f(x))
    "residual": Arrangement(lambda x, norm: x, lambda x, y, norm: x + y, norms=False),  # x + f(x)
    "norm": Arrangement(lambda x, norm: x, lambda x, y, norm: norm(y)),  # norm(f(x))
    "plain": Arrangement(lambda x, norm: x, lambda x, y, norm: y, norms=False),  # f(x)
}
