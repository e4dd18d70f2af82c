"""Gated convolutions, contiguous and dilated.

Shapes: B batch, N positions, D width, P positions of padding or memory, k kernel.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.mixers.base import Mixer, initialise_


class Convolution(Mixer):
    """A convolution to 2 D channels and a gated linear unit (Gehring et al. 2017, ConvS2S, section 3.2)."""

    name = "convolution"

    def __init__(self, width: int, *, kernel: int = 5, dilation: int = 1, **given: Any) -> None:
        super().__init__(width, **given)
        if kernel < 1 or dilation < 1:
            raise ValueError(f"kernel={kernel} and dilation={dilation} must be at least 1")
        if not self.causal and kernel % 2 == 0:
            raise ValueError(f"kernel={kernel} must be odd when bidirectional; use {kernel - 1} or {kernel + 1}")
        self.kernel, self.dilation = kernel, dilation
        span = (kernel - 1) * dilation
        self.padding = (span, 0) if self.causal else (span // 2, span // 2)
        self.reach = self.padding[0]
        self.convolution = nn.Conv1d(width, 2 * width, kernel, dilation=dilation)
        initialise_(self.convolution.weight)
        assert self.convolution.bias is not None
        nn.init.zeros_(self.convolution.bias)

    def forward(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        if mask_BN is not None:  # padding must equal what lies outside the sequence: zeros
            x_BND = x_BND * mask_BN[..., None]
        return F.glu(self.convolution(F.pad(x_BND.mT, self.padding)), 1).mT

    def _empty_state(self, batch, device, dtype) -> Tensor:
        return torch.zeros(batch, self.width, self.padding[0], device=device, dtype=dtype)

    def step(self, x_BD: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        seen_BDP = torch.cat([state, x_BD[..., None]], -1)
        return F.glu(self.convolution(seen_BDP)[..., 0], -1), seen_BDP[..., 1:]


class DilatedConvolution(Convolution):
    """Dilation kernel ** layer: 1, k, k^2, ... so that L layers see k ** L positions without a gap (Kalchbrenner
    et al. 2016, ByteNet, section 3.4; van den Oord et al. 2016, WaveNet, section 2.1).
    """

    name = "dilated"

    def __init__(self, width: int, *, causal: bool, kernel: int = 5, layer: int = 0, length: int = 0) -> None:
        super().__init__(width, causal=causal, kernel=kernel, dilation=max(kernel, 1) ** layer, layer=layer)
