"""Hard attention by sampling, trained with REINFORCE (Williams 1992; Xu et al. 2015, section 4.1; Mnih et al. 2014).

Shapes: B batch, N positions, T scored positions, D width, V classes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.mixers.base import linear
from study.readouts.base import Classify, Query, at_least_float32, one_at, pick, standard_gumbel


class Sampled(Query):
    """In training reads a position drawn with odds w; its gradient is an unbiased estimate of the expected loss's.

    What is expected: sum_i w_i l_i, with l_i the cross-entropy of the answer read from position i. The estimate, for a
    drawn i: grad l_i + (l_i - b) grad log w_i. The baseline b is a linear function of the scored position, fitted to the
    losses by least squares; it lowers the variance, adds no bias, and trains nothing but itself.
    """

    name = "sampled"

    def __init__(self, width: int, **given: Any) -> None:
        super().__init__(width, **given)
        self.baseline = linear(width, 1)

    def weights(self, log_BTN: Tensor) -> Tensor:
        return one_at(self.draw(log_BTN), log_BTN)

    def draw(self, log_BTN: Tensor) -> Tensor:
        """A position with odds w, (B, T); in evaluation the likeliest."""
        return (log_BTN + standard_gumbel(log_BTN) if self.training else log_BTN).argmax(-1)

    def loss(
        self,
        x_BND: Tensor,
        targets_BT: Tensor,
        where_BT: Tensor | None,
        mask_BN: Tensor | None,
        classify: Classify,
    ) -> Tensor:
        """The drawn losses' mean in nats; what trains weights and baseline adds gradients to it, and 0 to its value."""
        log_BTN = self.log_weights(x_BND, where_BT, mask_BN)
        drawn_BT = self.draw(log_BTN)
        logits_BTV = at_least_float32(classify(pick(x_BND, drawn_BT)))
        loss_BT = F.cross_entropy(logits_BTV.mT, targets_BT, reduction="none")
        baseline_BT = self.baseline(pick(x_BND, where_BT).detach())[..., 0]
        advantage_BT = loss_BT.detach() - baseline_BT
        chosen_BT = log_BTN.gather(-1, drawn_BT[..., None])[..., 0]
        beside_BT = advantage_BT.detach() * chosen_BT + advantage_BT.square() / 2
        scored_BT = targets_BT != nn.CrossEntropyLoss().ignore_index
        return torch.where(scored_BT, loss_BT + (beside_BT - beside_BT.detach()), 0).sum() / scored_BT.sum()
