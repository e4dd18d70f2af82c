"""Hard attention with the choice summed out (Deng et al. 2018, section 3; Wu et al. 2018): exact, at the cost of N heads."""

import torch
from torch import Tensor

from study.readouts.base import Classify, Query


class Marginal(Query):
    """log p(y) = log sum_i w_i p(y | x_i), in training and in evaluation: an answer per position, mixed by the weights.

    The output is normalised already, so cross-entropy of it is the exact loss, its gradient the exact gradient.
    """

    name = "marginal"

    def forward(self, x_BND: Tensor, where_BT: Tensor | None, mask_BN: Tensor | None, classify: Classify) -> Tensor:
        log_BTN1 = self.log_weights(x_BND, where_BT, mask_BN)[..., None]
        answer_B1NV = classify(x_BND).to(log_BTN1.dtype).log_softmax(-1)[:, None]
        return torch.logsumexp(log_BTN1 + answer_B1NV, 2)
