"""Windowed attention against its masked full form."""

import itertools

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from study.mixers.attention import Attention
from study.mixers.window import WindowAttention, band, window_attention
from tests.attention.reference import reference_window_attention
from tests.cases import case, close


def test_band_by_hand():
    assert band(4, 1, 0).int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert band(4, 1, 2).int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]]


def test_window_attention_is_the_masked_reference():
    windows = [(1, 0), (8, 0), (64, 0), (1, 1), (32, 32)]
    for (back, ahead), N, masked in itertools.product(windows, (1, 8, 9, 131), (True, False)):
        with case(f"{back} back, {ahead} ahead", f"N={N}", f"masked={masked}"):
            torch.manual_seed(0)
            qkv = [torch.randn(3, 2, N, 5, requires_grad=True) for _ in range(3)]
            mask_BN, weight = None, torch.randn(3, 2, N, 5)
            if masked:
                mask_BN = torch.arange(N) < torch.tensor([N, (N + 1) // 2, 1])[:, None]
                mask_BN[2] = mask_BN[2].flip(0)  # padding before the tokens too
                weight = weight * mask_BN[:, None, :, None]  # outputs at padding mean nothing
            actual = window_attention(*qkv, mask_BN, back=back, ahead=ahead)
            expected = reference_window_attention(*qkv, mask_BN, back=back, ahead=ahead)
            close(actual * (weight != 0), expected * (weight != 0))
            gradients = (torch.autograd.grad((y * weight).sum(), qkv) for y in (actual, expected))
            for a, e in zip(*gradients, strict=True):
                close(a, e)


@pytest.mark.parametrize("causal", [True, False])
def test_a_window_over_everything_is_full_attention(causal):
    torch.manual_seed(0)
    full = Attention(12, causal=causal, heads=2)
    restricted = WindowAttention(12, causal=causal, heads=2, window=40)
    restricted.load_state_dict(full.state_dict())
    x_BND = torch.randn(2, 21, 12)
    close(restricted(x_BND), full(x_BND))
    close(restricted.maps(x_BND), full.maps(x_BND))


@pytest.mark.parametrize("causal", [True, False])
def test_maps_are_zero_outside_the_window(causal):
    torch.manual_seed(0)
    mixer = WindowAttention(12, causal=causal, heads=2, window=4)
    x_BND = torch.randn(2, 21, 12)
    weights_BHNN = mixer.maps(x_BND)
    row = weights_BHNN[0, 0, 10].nonzero().flatten().tolist()
    assert row == ([6, 7, 8, 9, 10] if causal else [8, 9, 10, 11, 12])
    y_BND = mixer.out((weights_BHNN @ mixer.project(x_BND)[2]).transpose(1, 2).flatten(2))
    close(mixer(x_BND), y_BND)


def test_decoding_remembers_the_window_only():
    mixer = WindowAttention(12, causal=True, heads=2, window=4)
    state = mixer.initial_state(3)
    for _ in range(20):
        _, state = mixer.step(torch.randn(3, 12), state)
    assert state[0].shape[2] <= 5


def test_impossible_windows_are_refused():
    for window, causal, message in [(0, True, "mixer=identity"), (7, False, "use 8"), (1, False, "use 2")]:
        with case(window, causal), pytest.raises(ValueError, match=message):
            WindowAttention(12, causal=causal, window=window)


def test_window_attention_carries_out_whole_chunks():
    """Each query meets the keys of its chunk and of the window around it, however long the sequence."""
    for (window, chunk), N in itertools.product([(8, 32), (64, 32), (128, 64)], (40, 640)):
        q = torch.randn(2, 3, N, 5)
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            window_attention(q, q, q, back=window, ahead=0)
        chunk = min(chunk, N)
        queries = -(-N // chunk) * chunk
        assert counter.get_total_flops() / 2 == 2 * 3 * queries * (chunk + window) * 2 * 5, (window, N)


@pytest.mark.parametrize("masked", [False, True])
def test_memory_kept_for_the_gradient_is_linear_in_the_length(masked):
    def kept(N):
        total = 0

        def count(tensor):
            nonlocal total
            total += tensor.untyped_storage().nbytes()
            return tensor

        qkv = [torch.randn(2, 3, N, 16, requires_grad=True) for _ in range(3)]
        mask_BN = torch.ones(2, N, dtype=torch.bool) if masked else None
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            window_attention(*qkv, mask_BN, back=64, ahead=0)
        return total

    assert 1.8 < kept(2048) / kept(1024) < 2.05
