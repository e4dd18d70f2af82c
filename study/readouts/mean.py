"""Mean pooling: every position counts alike."""

from torch import Tensor

from study.readouts.base import Readout


class Mean(Readout):
    """The mean of x_i over the positions: the control that weighs nothing."""

    name = "mean"

    def read(self, x_BND: Tensor, where_BT: Tensor | None, mask_BN: Tensor | None) -> Tensor:
        visible_BTN = self.visible(x_BND, where_BT, mask_BN).to(x_BND.dtype)
        return visible_BTN / visible_BTN.sum(-1, keepdim=True) @ x_BND
