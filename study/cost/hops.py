"""How many layers or steps information needs from one end of a sequence to the other, read off Jacobians.

Shapes: B batch, N positions, D width.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from study.mixers.base import Mixer


def hops(layer: Callable[[int], Mixer], length: int) -> int | None:
    """The least number of layers after which the last of ``length`` positions depends on every one; None if it never does.

    ``layer`` gives the mixer of each layer, counted from 0. A recurrence needs one layer, but one step per position: its steps
    are counted. (Maximum path length: Vaswani et al. 2017, section 4.)
    """
    first = layer(0)
    if first.recurrence is not None:
        return length - 1 if carries(first.recurrence) else None
    seen_N = torch.arange(length) == length - 1
    for count in range(length):
        if seen_N.all():
            return count
        before_N, seen_N = seen_N, sources(first if count == 0 else layer(count), seen_N)
        if torch.equal(before_N, seen_N):
            return None
    return length if seen_N.all() else None


def sources(mixer: Mixer, targets_N: Tensor) -> Tensor:
    """(N,) True at positions whose input changes an output at some target: where the Jacobian is not zero.

    One product with a random vector on the targets: entries that are not zero do not cancel in it.
    """
    x_BND = torch.randn(1, len(targets_N), mixer.width, requires_grad=True)
    y_BND = mixer(x_BND)
    (found_BND,) = torch.autograd.grad(y_BND, x_BND, torch.randn_like(y_BND) * targets_N.to(y_BND)[:, None])
    return (found_BND[0] != 0).any(-1)


def carries(recurrence: nn.RNNBase) -> bool:
    """Whether the state after a step depends on the state before it: on the last position's, as a step sees no other."""
    weight = recurrence.all_weights[0][0]
    before = weight.new_ones(1, 1, recurrence.hidden_size, requires_grad=True)
    state = (before, before) if recurrence.mode == "LSTM" else before
    y_BND, _ = recurrence(torch.randn_like(weight[:1, None, :]), state)
    (gradient,) = torch.autograd.grad(y_BND.sum(), before)
    return bool((gradient != 0).any())
