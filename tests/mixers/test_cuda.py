"""On a GPU: every mixer equals itself on the CPU, and attention runs fused under bfloat16."""

from pathlib import Path

import pytest
import torch
import yaml
from torch.nn.attention import SDPBackend, sdpa_kernel

from study import parts
from study.mixers.attention import Attention
from study.mixers.window import WindowAttention

pytestmark = pytest.mark.cuda

CONF = Path(__file__).parents[2] / "conf" / "mixer"
MIXERS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("*.yaml"))}
CAUSAL = pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])
MASKED = pytest.mark.parametrize("masked", [False, True])
FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]


def some_input(masked, N=77):
    torch.manual_seed(0)
    mask_BN = torch.arange(N) < torch.tensor([N, N // 2, 0])[:, None]
    return torch.randn(3, N, 64), mask_BN if masked else None


@pytest.mark.parametrize("name", MIXERS)
@CAUSAL
@MASKED
def test_gpu_is_the_cpu(name, causal, masked):
    settings = dict(MIXERS[name])
    x_BND, mask_BN = some_input(masked)
    mixer_class = parts.load("mixer", settings.pop("name"))
    mixer = mixer_class(64, causal=causal, length=77, **settings)
    real = torch.ones(3, 77, dtype=torch.bool) if mask_BN is None else mask_BN
    expected = mixer(x_BND, mask_BN)[real]
    y_BND = mixer.cuda()(x_BND.cuda(), None if mask_BN is None else mask_BN.cuda())
    assert y_BND.isfinite().all()
    torch.testing.assert_close(y_BND.cpu()[real], expected, atol=2e-3, rtol=2e-3)  # TF32 in cuDNN


@pytest.mark.parametrize("mixer_class", [Attention, WindowAttention])
@CAUSAL
@MASKED
def test_attention_is_fused_under_bfloat16(mixer_class, causal, masked):
    x_BND, mask_BN = some_input(masked)
    real = torch.ones(3, 77, dtype=torch.bool) if mask_BN is None else mask_BN
    mixer = mixer_class(64, causal=causal)
    expected = mixer(x_BND, mask_BN)[real]
    mixer, x_BND = mixer.cuda(), x_BND.cuda().requires_grad_()
    with torch.autocast("cuda", torch.bfloat16), sdpa_kernel(FUSED):  # raises when only the plain kernel would do
        y_BND = mixer(x_BND, None if mask_BN is None else mask_BN.cuda())
        y_BND.float().square().sum().backward()
    assert y_BND.isfinite().all() and x_BND.grad.isfinite().all()
    torch.testing.assert_close(y_BND.float().cpu()[real], expected, atol=0.03, rtol=0.03)
