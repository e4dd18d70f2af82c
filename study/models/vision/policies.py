"""Where to look next, given what has been seen so far.

Shapes: B images, G glimpses, D width of the core. A location is (row, column), from -1 to 1, 0 the middle of the image.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.mixers.base import linear


class Policy(nn.Module):
    """The core's state (B, D) -> the next location (B, 2)."""

    def __init__(self, width: int) -> None:
        """`width`: D."""
        super().__init__()

    def forward(self, state_BD: Tensor) -> Tensor:
        raise NotImplementedError

    def loss(self, states_BGD: Tensor, locations_BG2: Tensor, reward_B: Tensor) -> Tensor:
        """What trains the policy: the states it was given, what it chose, and what came of it. Here, nothing to train."""
        return reward_B.new_zeros(())


class Learned(Policy):
    """Gaussian around a learnt mean, trained by REINFORCE (Williams 1992; Mnih et al. 2014, sections 3.1 and 3.2).

    In training the location is drawn, with mean tanh(W s + b) and standard deviation `spread`; in evaluation it is the mean.
    s is the state scaled to length 1, since early in training the states are so short that no step of the optimiser would move
    the mean, and later so long that each would push it to an edge. The baseline is a linear function of the state, fitted to
    the reward by least squares; it lowers the variance, adds no bias, and trains nothing but itself.
    """

    def __init__(self, width: int, *, spread: float, weight: float) -> None:
        super().__init__(width)
        for name, value in (("spread", spread), ("weight", weight)):
            if not value > 0:
                raise ValueError(f"{name} is {value}; it must be above 0")
        self.spread, self.weight = spread, weight
        self.mean = linear(width, 2)
        self.baseline = linear(width, 1)

    def forward(self, state_BD: Tensor) -> Tensor:
        mean_B2 = self._means(state_BD)
        return mean_B2 + self.spread * torch.randn_like(mean_B2) if self.training else mean_B2

    def loss(self, states_BGD: Tensor, locations_BG2: Tensor, reward_B: Tensor) -> Tensor:
        """Its gradient is an unbiased estimate of how the means, and the states they are made of, move the expected reward;
        negative, and times `weight`."""
        baseline_BG = self.baseline(states_BGD.detach())[..., 0]
        advantage_BG = reward_B[:, None] - baseline_BG
        deviation_BG2 = (locations_BG2 - self._means(states_BGD)) / self.spread
        log_density_BG = -deviation_BG2.square().sum(-1) / 2  # but for a constant
        loss_BG = advantage_BG.square() - advantage_BG.detach() * log_density_BG
        return self.weight * loss_BG.sum(1).mean()

    def _means(self, state: Tensor) -> Tensor:
        return self.mean(F.normalize(state, dim=-1)).tanh()


class Random(Policy):
    """Anywhere in the image alike, in evaluation too."""

    def forward(self, state_BD: Tensor) -> Tensor:
        return 2 * torch.rand_like(state_BD[:, :2]) - 1


class Centre(Policy):
    """Always the middle of the image."""

    def forward(self, state_BD: Tensor) -> Tensor:
        return torch.zeros_like(state_BD[:, :2])
