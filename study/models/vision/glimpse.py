"""The recurrent attention model: an image is seen through a few small glimpses (Mnih et al. 2014).

Shapes: B images, H rows, W columns, K scales, P pixels a side of a patch, G glimpses, D width of the core, V classes.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.mixers.base import initialise_, linear
from study.models.base import Architecture
from study.models.vision.policies import Centre, Learned, Policy, Random


def crop(images_BHW: Tensor, location_B2: Tensor, side: int) -> Tensor:
    """The square of `side` x `side` pixels around a location, (B, side, side); 0 outside the image.

    A location (row, column) from -1 to 1 falls on a corner between pixels, the nearest; -1 and 1 are the image's edges. `side`
    is even. The work does not depend on the image's size.
    """
    H, W = images_BHW.shape[1:]
    row_B, column_B = (
        (extent * (at_B + 1) / 2).round().long() for extent, at_B in zip((H, W), location_B2.unbind(1), strict=True)
    )
    step_S = torch.arange(-side // 2, side // 2, device=images_BHW.device)
    row_BS1, column_B1S = row_B[:, None, None] + step_S[:, None], column_B[:, None, None] + step_S
    inside_BSS = (row_BS1 >= 0) & (row_BS1 < H) & (column_B1S >= 0) & (column_B1S < W)
    image_B11 = torch.arange(len(images_BHW), device=images_BHW.device)[:, None, None]
    return images_BHW[image_B11, row_BS1.clamp(0, H - 1), column_B1S.clamp(0, W - 1)] * inside_BSS


def sense(images_BHW: Tensor, location_B2: Tensor, patch: int, scales: int) -> Tensor:
    """The glimpse sensor (section 3.1): (B, K, P, P), squares of P, 2 P, 4 P, ... pixels, each averaged down to P x P."""
    largest = patch * 2 ** (scales - 1)
    crop_BSS = crop(images_BHW, location_B2, largest)
    seen = []
    for scale in range(scales):
        margin = (largest - patch * 2**scale) // 2
        square_BSS = crop_BSS[:, margin : largest - margin, margin : largest - margin]
        seen.append(F.avg_pool2d(square_BSS, 2**scale))
    return torch.stack(seen, 1)


class RecurrentAttention(Architecture):
    """A core (LSTM) takes `glimpses` glimpses one after another, and names the image's class after the last.

    The gradient is the paper's (section 3.2): that of the cross-entropy of the answer, through the core and all that is seen,
    and the policy's own for a reward of 1 for a right answer, through the states that it is given. None passes through a
    location. The glimpse network (section 3.1) has a norm before its last ReLU, as all else in this study that reads a stream.

    Args:
        policy: width -> where to look; the first location is its choice in the empty state.
        width: D, even; the patch and its location are encoded in D / 2 each first.
    """

    kind = "images"
    takes_channels = False

    def __init__(
        self, classes: int, policy: Callable[[int], Policy], *, width: int, glimpses: int = 6, patch: int = 8, scales: int = 3
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("patch", patch)):
            if value < 2 or value % 2:
                raise ValueError(f"{name}={value} must be even, 2 or more; use {max(2, value + value % 2)}")
        for name, value in (("glimpses", glimpses), ("scales", scales)):
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        self.glimpses, self.patch, self.scales = glimpses, patch, scales
        self.what = linear(scales * patch**2, width // 2)
        self.where = linear(2, width // 2)
        self.what_seen = linear(width // 2, width)
        self.where_seen = linear(width // 2, width)
        self.norm = nn.LayerNorm(width)
        self.core = nn.LSTMCell(width, width)
        for parameter in self.core.parameters():
            initialise_(parameter) if parameter.ndim == 2 else nn.init.zeros_(parameter)
        with torch.no_grad():  # torch orders the gates: input, forget, cell, output
            self.core.bias_ih[width : 2 * width] = 1
        self.head = linear(width, classes)
        self.policy = policy(width)  # last, so that all other weights start alike whatever the policy

    def forward(self, images_BHW: Tensor) -> Tensor:
        """Logits (B, 1, V)."""
        return self.head(self._look(images_BHW)[2])[:, None]

    def loss(self, images_BHW: Tensor, targets_BT: Tensor) -> Tensor:
        """The mean cross-entropy in nats; what trains the policy adds gradients to it, and 0 to its value."""
        states_BGD, locations_BG2, last_BD = self._look(images_BHW)
        logits_BV, target_B = self.head(last_BD).float(), targets_BT[:, 0]
        reward_B = (logits_BV.argmax(-1) == target_B).float()
        policy_loss = self.policy.loss(states_BGD, locations_BG2, reward_B)
        return F.cross_entropy(logits_BV, target_B) + (policy_loss - policy_loss.detach())

    def tables(self) -> list[nn.Module]:
        return [self.head]

    def paths(self, images_BHW: Tensor) -> Tensor:
        """Where it looks, in order: locations (B, G, 2)."""
        return self._look(images_BHW)[1]

    def _look(self, images_BHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The state before each glimpse (B, G, D), its location without gradient (B, G, 2), and the last state (B, D)."""
        empty_BD = images_BHW.new_zeros(len(images_BHW), self.core.hidden_size)
        state, states, locations = (empty_BD, empty_BD), [], []
        for _ in range(self.glimpses):
            states.append(state[0])
            locations.append(self.policy(states[-1]).detach())
            state = self.core(self._glimpse(images_BHW, locations[-1]), state)
        return torch.stack(states, 1), torch.stack(locations, 1), state[0]

    def _glimpse(self, images_BHW: Tensor, location_B2: Tensor) -> Tensor:
        """What is seen at a location, encoded: (B, D)."""
        what = F.relu(self.what(sense(images_BHW, location_B2, self.patch, self.scales).flatten(1)))
        where = F.relu(self.where(location_B2))
        return F.relu(self.norm(self.what_seen(what) + self.where_seen(where)))


class LearnedGlimpses(RecurrentAttention):
    """It learns where to look."""

    name = "learned_glimpses"

    def __init__(self, classes: int, *, spread: float = 0.1, weight: float = 0.1, **given: Any) -> None:
        super().__init__(classes, partial(Learned, spread=spread, weight=weight), **given)


class RandomGlimpses(RecurrentAttention):
    """The control that looks anywhere."""

    name = "random_glimpses"

    def __init__(self, classes: int, **given: Any) -> None:
        super().__init__(classes, Random, **given)


class CentreGlimpses(RecurrentAttention):
    """The control that never looks away from the middle."""

    name = "centre_glimpses"

    def __init__(self, classes: int, **given: Any) -> None:
        super().__init__(classes, Centre, **given)
