"""A plain convolutional classifier, and the channels that give it the parameters or the multiply-adds of another model.

Shapes: B images, H rows, W columns, C channels, V classes.
"""

import itertools
import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from study.mixers.base import initialise_, linear
from study.models.base import Architecture
from study.models.sizing import TOLERANCE

KERNEL = 3
BLOCKS = 4  # of a net that is sized


class ConvNet(Architecture):
    """Blocks of a 3 x 3 convolution, ReLU and 2 x 2 max pooling; then the greatest value of each channel, and a linear head.

    Max pooling over all places makes it take images of any size, and answer alike wherever an object stands.

    Args:
        channels: C of each block, in order.
    """

    name = "cnn"
    kind = "images"
    takes_channels = True  # those that bring it to the size of a glimpse model

    def __init__(self, classes: int, *, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, KERNEL, padding=KERNEL // 2) for before, after in itertools.pairwise((1, *self.channels))
        )
        for parameter in self.convolutions.parameters():
            initialise_(parameter) if parameter.ndim > 1 else nn.init.zeros_(parameter)
        self.head = linear(self.channels[-1], classes)

    def forward(self, images_BHW: Tensor) -> Tensor:
        """Logits (B, 1, V). Raises ValueError when an image is too small to be halved by each block."""
        check_size(min(images_BHW.shape[1:]), len(self.channels))
        x_BCHW = images_BHW[:, None]
        for convolution in self.convolutions:
            x_BCHW = F.max_pool2d(F.relu(convolution(x_BCHW)), 2)
        return self.head(x_BCHW.amax((2, 3)))[:, None]

    def loss(self, images_BHW: Tensor, targets_BT: Tensor) -> Tensor:
        """The mean cross-entropy, in nats."""
        return F.cross_entropy(self(images_BHW)[:, 0].float(), targets_BT[:, 0])

    def paths(self, images_BHW: Tensor) -> None:
        """It sees the whole image at once."""

    def tables(self) -> list[nn.Module]:
        return [self.head]


def check_size(size: int, blocks: int) -> None:
    if size < 2**blocks:
        raise ValueError(f"an image of {size} pixels can't be halved {blocks} times; use {2**blocks} pixels, or fewer blocks")


def solve_channels(count: Callable[[Sequence[int]], float], target: float, *, size: int, what: str) -> tuple[int, ...]:
    """The channels, about twice as many from block to block, at which `count` of them comes to `target`.

    `count` must be linear in the last block's channels; `what` it counts is named in the ValueError that is raised when no
    channels come within 2 %. Nor can images of `size` pixels be halved more often than they have sides to halve.
    """
    check_size(size, BLOCKS)
    best, nearest = (), math.inf
    for first in itertools.count(1):
        before = tuple(first * 2**block for block in range(BLOCKS - 1))
        one, two = count((*before, 1)), count((*before, 2))
        last = 1 + round((target - one) / (two - one))
        if last < 1:
            break
        if abs(math.log(last / (2 * before[-1]))) < nearest:
            best, nearest = (*before, last), abs(math.log(last / (2 * before[-1])))
    if not best or abs(count(best) - target) > TOLERANCE * target:
        raise ValueError(
            f"no channels bring {BLOCKS} blocks within {TOLERANCE:.0%} of {target:.0f} {what}; use a wider model beside them"
        )
    return best
