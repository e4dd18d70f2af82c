"""On a GPU: every mixer equals itself on the CPU, and attention runs fused under bfloat16."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from study.mixers.attention import Attention
from study.mixers.window import WindowAttention
from tests.cases import case, made, names

pytestmark = pytest.mark.cuda

FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]


def inputs(N: int = 77) -> Iterator[tuple[bool, Tensor, Tensor | None, Tensor]]:
    """Causal or not, with padding or not: (causal, x, mask, what is real)."""
    mask_BN = torch.arange(N) < torch.tensor([N, N // 2, 0])[:, None]
    for causal, masked in itertools.product((True, False), (True, False)):
        torch.manual_seed(0)
        yield causal, torch.randn(3, N, 64), mask_BN if masked else None, mask_BN if masked else torch.ones_like(mask_BN)


def on_gpu(mask_BN: Tensor | None) -> Tensor | None:
    return None if mask_BN is None else mask_BN.cuda()


@pytest.mark.parametrize("name", names("mixer"))
def test_gpu_is_the_cpu(name):
    for causal, x_BND, mask_BN, real_BN in inputs():
        with case(f"causal={causal}", "whole" if mask_BN is None else "masked"):
            mixer = made("mixer", name, 64, causal=causal, length=77)
            expected = mixer(x_BND, mask_BN)[real_BN]
            y_BND = mixer.cuda()(x_BND.cuda(), on_gpu(mask_BN))
            assert y_BND.isfinite().all()
            torch.testing.assert_close(y_BND.cpu()[real_BN], expected, atol=2e-3, rtol=2e-3)  # TF32 in cuDNN


@pytest.mark.parametrize("mixer_class", [Attention, WindowAttention])
def test_attention_is_fused_under_bfloat16(mixer_class):
    for causal, x_BND, mask_BN, real_BN in inputs():
        with case(f"causal={causal}", "whole" if mask_BN is None else "masked"):
            mixer = mixer_class(64, causal=causal)
            expected = mixer(x_BND, mask_BN)[real_BN]
            mixer, x_BND = mixer.cuda(), x_BND.cuda().requires_grad_()
            with torch.autocast("cuda", torch.bfloat16), sdpa_kernel(FUSED):  # raises when only the plain kernel would do
                y_BND = mixer(x_BND, on_gpu(mask_BN))
                y_BND.float().square().sum().backward()
            assert y_BND.isfinite().all() and x_BND.grad.isfinite().all()
            torch.testing.assert_close(y_BND.float().cpu()[real_BN], expected, atol=0.03, rtol=0.03)
