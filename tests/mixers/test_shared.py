"""Shared and frozen projections against a plain loop and full attention; what must not change."""

import itertools
import math

import pytest
import torch
from torch import nn

from study.mixers.shared import SharedAttention
from tests.cases import case, close
from tests.mixers.test_every_mixer import ways

WIDTH, HEADS = 12, 3


def build(share, projection, sees_itself=None, causal=True, **settings):
    torch.manual_seed(0)
    kept = {"share": share, "projection": projection, "sees_itself": sees_itself, "heads": HEADS}
    return SharedAttention(WIDTH, causal=causal, **kept, **settings)


def reference(mixer, share, projection, sees_itself, causal, x_ND):
    """One sequence, head by head and query by query; (output, weights (H, N, N)), from the definition."""
    N, K = len(x_ND), mixer.head_width
    inner = HEADS * K
    weight = torch.eye(WIDTH, dtype=x_ND.dtype) if projection == "identity" else mixer.qkv.weight
    made = {"none": "qkv", "keys_values": "qk", "queries_keys": "qv", "all": "q"}[share]
    found = {name: x_ND @ weight[i * inner : (i + 1) * inner].T for i, name in enumerate(made)}
    k_ND = found.get("k", found["q"])
    v_ND = found.get("v", k_ND)
    weights_HNN, y_NHK = torch.zeros(HEADS, N, N, dtype=x_ND.dtype), [[] for _ in range(N)]
    for h in range(HEADS):
        part = slice(h * K, (h + 1) * K)
        for n in range(N):
            seen = list(range(n + 1 if causal else N))
            if not (share in ("none", "keys_values") if sees_itself is None else sees_itself) and len(seen) > 1:
                seen.remove(n)
            weights = (k_ND[seen, part] @ found["q"][n, part] / math.sqrt(K)).softmax(0)
            weights_HNN[h, n, seen] = weights.detach()
            y_NHK[n].append(weights @ v_ND[seen, part])
    return mixer.out(torch.stack([torch.cat(heads) for heads in y_NHK])), weights_HNN


def test_each_variant_is_its_definition():
    """Values and gradients, with respect to the input and to all that is trained."""
    for way, N in itertools.product(ways("shared"), (1, 2, 9)):
        with case(way, N):
            variant = {"share": way["share"], "projection": "learned", "sees_itself": None} | way
            mixer = build(**variant).double()
            x_ND = torch.randn(N, WIDTH, dtype=torch.double, requires_grad=True)
            results = []
            for y_ND, weights in ((mixer(x_ND[None])[0], mixer.maps(x_ND[None])[0]), reference(mixer, x_ND=x_ND, **variant)):
                loss = (y_ND * torch.arange(WIDTH).cos()).sum()
                results.append([y_ND, weights, *torch.autograd.grad(loss, [x_ND, *mixer.parameters()])])
            for actual, expected in zip(*results, strict=True):
                close(actual, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("share", ["none", "queries_keys", "all"])
def test_a_frozen_projection_stays_as_it_started_and_travels_with_the_state(share):
    mixer = build(share, "frozen")
    start = mixer.qkv.weight.clone()
    optimizer = torch.optim.AdamW(mixer.parameters(), lr=0.1)
    before = mixer.out.weight.clone()
    mixer(torch.randn(2, 5, WIDTH)).square().sum().backward()
    optimizer.step()
    assert torch.equal(mixer.qkv.weight, start) and not torch.equal(mixer.out.weight, before)
    assert [name for name, _ in mixer.named_parameters()] == ["out.weight"]
    assert torch.equal(mixer.state_dict()["qkv.weight"], start)
    assert torch.equal(start, build(share, "learned").qkv.weight)  # it starts where a learned one does


def test_parameters_by_hand():
    """Width 12: 144 a projection, the one of the output included."""
    expected = {"none": 4 * 144, "keys_values": 3 * 144, "queries_keys": 3 * 144, "all": 2 * 144}
    for share, parameters in expected.items():
        assert sum(p.numel() for p in build(share, "learned").parameters()) == parameters
    assert sum(p.numel() for p in build("all", "identity").parameters()) == 144
    assert sum(p.numel() for p in build("none", "frozen").parameters()) == 144


def test_the_own_position_would_win_where_queries_are_keys():
    """Which is why it is left out: x' W' W x is a square, the rest has no sign."""
    torch.manual_seed(0)
    mixer = SharedAttention(64, causal=False, share="queries_keys", heads=1)
    x_BND = nn.functional.layer_norm(torch.randn(50, 16, 64), (64,))
    q_BHNK, k_BHNK, _ = mixer.project(x_BND)
    assert torch.equal(q_BHNK, k_BHNK)
    largest = (q_BHNK @ k_BHNK.mT).argmax(-1)
    assert (largest == torch.arange(16)).float().mean() > 0.9
    assert not mixer.maps(x_BND).diagonal(dim1=-2, dim2=-1).any()


def test_unknown_and_contradictory_settings_are_refused():
    for wrong, fix in [
        ({"share": "keys"}, "share='keys' must be one of none, keys_values, queries_keys, all"),
        ({"projection": "random"}, "projection='random' must be one of learned, frozen, identity"),
        ({"projection": "identity"}, "without projections all are the same; use share=all"),
        ({"share": "all", "projection": "identity", "head_width": 5}, "keeps the width of 12, but heads x head_width is 15"),
    ]:
        with case(wrong, fix):
            with pytest.raises(ValueError) as caught:
                SharedAttention(WIDTH, causal=True, **{"heads": HEADS, **wrong})
            assert fix in str(caught.value) and "\n" not in str(caught.value)
