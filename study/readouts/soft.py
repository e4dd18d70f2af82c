"""Soft attention (Bahdanau et al. 2015, section 3.1): the mean of all positions under the weights."""

from torch import Tensor

from study.readouts.base import Query


class Soft(Query):
    """sum_i w_i x_i, in training and in evaluation."""

    name = "soft"

    def weights(self, log_BTN: Tensor) -> Tensor:
        return log_BTN.exp()

    def read(self, x_BND: Tensor, where_BT: Tensor | None, mask_BN: Tensor | None) -> Tensor:
        return self.weights(self.log_weights(x_BND, where_BT, mask_BN)).to(x_BND.dtype) @ x_BND
