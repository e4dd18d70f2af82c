"""Convolutions against explicit sums, and their receptive fields."""

import pytest
import torch

from study.mixers.convolution import Convolution, DilatedConvolution
from tests.cases import close


@pytest.mark.parametrize(
    ("causal", "kernel", "dilation"), [(True, 1, 1), (True, 4, 1), (True, 3, 2), (False, 3, 1), (False, 5, 3)]
)
def test_convolution_is_the_explicit_sum(causal, kernel, dilation):
    torch.manual_seed(0)
    mixer = Convolution(6, causal=causal, kernel=kernel, dilation=dilation)
    with torch.no_grad():
        mixer.convolution.bias.normal_()
    x_BND = torch.randn(2, 9, 6, requires_grad=True)
    weight, bias = mixer.convolution.weight, mixer.convolution.bias
    rows = []
    for n in range(9):
        total = bias.expand(2, -1)
        for tap in range(kernel):
            m = n - (kernel - 1 - tap) * dilation if causal else n + (tap - kernel // 2) * dilation
            if 0 <= m < 9:
                total = total + x_BND[:, m] @ weight[:, :, tap].T
        rows.append(total[:, :6] * total[:, 6:].sigmoid())
    actual, expected = mixer(x_BND), torch.stack(rows, 1)
    close(actual, expected)
    cotangent = torch.randn_like(expected)
    inputs = [x_BND, weight, bias]
    gradients = (torch.autograd.grad((y * cotangent).sum(), inputs) for y in (actual, expected))
    for a, e in zip(*gradients, strict=True):
        close(a, e)


def test_dilation_grows_with_the_layer():
    dilations = [DilatedConvolution(4, causal=True, kernel=3, layer=layer).dilation for layer in range(4)]
    assert dilations == [1, 3, 9, 27]
    reach = [DilatedConvolution(4, causal=True, kernel=3, layer=layer).reach for layer in range(4)]
    assert sum(reach) == 3**4 - 1  # own position and 80 before: 3^4 positions without a gap


@pytest.mark.parametrize("wrong", [{"kernel": 0}, {"dilation": 0}])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        Convolution(4, causal=True, **wrong)


@pytest.mark.parametrize("mixer", [Convolution, DilatedConvolution])
def test_even_kernels_have_no_middle(mixer):
    mixer(4, causal=True, kernel=4)
    with pytest.raises(ValueError, match="use 3 or 5"):
        mixer(4, causal=False, kernel=4)
