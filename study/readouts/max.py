"""Max pooling (Collobert & Weston 2008, section 3.3): the largest value of each feature over the positions."""

from torch import Tensor

from study.readouts.base import Readout


class Max(Readout):
    """max_i x_i, feature by feature, whatever the question."""

    name = "max"

    def read(self, x_BND: Tensor, where_BT: Tensor | None, mask_BN: Tensor | None) -> Tensor:
        visible_BTN1 = self.visible(x_BND, where_BT, mask_BN)[..., None]
        return x_BND[:, None].masked_fill(~visible_BTN1, float("-inf")).amax(2)
