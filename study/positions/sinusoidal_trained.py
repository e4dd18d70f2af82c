"""A position table that starts at the sinusoids and is trained: what training adds, from the same start."""

from typing import Any

import torch

from study.positions.learned import Learned
from study.positions.sinusoidal import sinusoids


class SinusoidalTrained(Learned):
    """As Learned, but for its start."""

    name = "sinusoidal_trained"

    def __init__(self, width: int, **given: Any) -> None:
        super().__init__(width, **given)
        with torch.no_grad():
            self.table.weight.copy_(sinusoids(self.length, width))
