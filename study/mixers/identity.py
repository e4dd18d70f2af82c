"""No mixing at all: the control that a task needs more than its own position."""

from torch import Tensor

from study.mixers.base import Mixer


class Identity(Mixer):
    """Gives its input back."""

    name = "identity"
    reach = 0

    def forward(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        return x_BND

    def _empty_state(self, batch, device, dtype) -> None:
        return None

    def step(self, x_BD: Tensor, state: None) -> tuple[Tensor, None]:
        return x_BD, None
