"""Each score against a scalar loop and torch's own; the additive one in pieces against itself as a whole."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from study.attention import scoring
from study.attention.scoring import SCORES, Additive, Bilinear, Cosine, Dot, ScaledBilinear, ScaledDot
from tests.cases import close

SCORE = pytest.mark.parametrize("name", SCORES)


def build(name, heads=2, head_width=3):
    torch.manual_seed(0)
    score = SCORES[name](heads, head_width)
    with torch.no_grad():  # away from zero, which would hide it
        for parameter in score.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return score


def inputs(B=2, H=2, N=5, M=4, K=3, **options):
    torch.manual_seed(1)
    return torch.randn(B, H, N, K, **options), torch.randn(B, H, M, K, **options)


def matrix(rows, head, K):
    """The map of one head among those that stand one under the other, as lists of numbers."""
    return rows.tolist()[head * K : (head + 1) * K]


def times(rows, x):
    return [sum(w * number for w, number in zip(row, x, strict=True)) for row in rows]


def by_hand(name, score, head, q, k):
    """One score of one query and one key, lists of K numbers, from its equation."""
    K = len(q)
    dot = sum(a * b for a, b in zip(q, k, strict=True))
    if name == "dot":
        return dot
    if name == "scaled_dot":
        return dot / math.sqrt(K)
    if name == "cosine":
        lengths = math.sqrt(sum(a * a for a in q)) * math.sqrt(sum(b * b for b in k))
        return math.sqrt(K) * math.exp(score.log_sharpness.tolist()[head]) * dot / lengths
    if name == "additive":
        hidden = zip(times(matrix(score.query, head, K), q), times(matrix(score.key, head, K), k), strict=True)
        return sum(v * math.tanh(a + b) for v, (a, b) in zip(score.score.tolist()[head], hidden, strict=True))
    bilinear = sum(a * b for a, b in zip(q, times(matrix(score.matrix, head, K), k), strict=True))
    return bilinear / math.sqrt(K) if name == "scaled_bilinear" else bilinear


@SCORE
def test_a_score_is_its_equation(name):
    score = build(name).double()
    q_BHNK, k_BHMK = inputs(dtype=torch.double)
    scores_BHNM = score(q_BHNK, k_BHMK)
    assert scores_BHNM.shape == (2, 2, 5, 4)
    for b in range(2):
        for h in range(2):
            for n in range(5):
                for m in range(4):
                    expected = by_hand(name, score, h, q_BHNK[b, h, n].tolist(), k_BHMK[b, h, m].tolist())
                    assert scores_BHNM[b, h, n, m].item() == pytest.approx(expected, rel=1e-9)


@SCORE
def test_gradients_are_those_of_finite_differences(name):
    score = build(name).double()
    q, k = inputs(B=1, N=3, M=2, dtype=torch.double, requires_grad=True)
    own = tuple(score.parameters())
    assert torch.autograd.gradcheck(lambda q, k, *_: score(q, k), (q, k, *own))


def test_cosine_starts_as_the_scaled_dot_product_of_vectors_as_long_as_sqrt_k():
    q_BHNK, k_BHMK = (3**0.5 * F.normalize(t, dim=-1) for t in inputs())
    close(Cosine(2, 3)(q_BHNK, k_BHMK), ScaledDot(2, 3)(q_BHNK, k_BHMK))


# --- the additive score in pieces ------------------------------------------------------------------------------------


def value_and_gradients(score, q, k):
    y = score(q, k)
    weight = torch.arange(y.numel(), dtype=y.dtype).view(y.shape).cos()
    return [y, *torch.autograd.grad((y * weight).sum(), [q, k, *score.parameters()])]


@pytest.mark.parametrize("queries", [1, 2, 3, 12, 13])
def test_additive_in_pieces_is_additive_as_a_whole(monkeypatch, queries):
    score = build("additive")
    q, k = inputs(N=13, M=7, requires_grad=True)
    whole = value_and_gradients(score, q, k)
    monkeypatch.setattr(scoring, "BLOCK", queries * k.numel())
    for piece, all_at_once in zip(value_and_gradients(score, q, k), whole, strict=True):
        close(piece, all_at_once)


class Largest(TorchDispatchMode):
    """The most numbers that any tensor made under it holds."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, list | tuple) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return made


def test_additive_never_holds_all_its_hidden_numbers(monkeypatch):
    """Forward and backward; nor does autograd keep them between the two."""
    B, H, N, K = 2, 2, 32, 8
    block = 4 * B * H * N * K  # of 4 queries
    monkeypatch.setattr(scoring, "BLOCK", block)
    q, k = inputs(B, H, N, N, K, requires_grad=True)
    score, kept = build("additive", H, K), {}
    with Largest() as largest:
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.setdefault(t.data_ptr(), t), lambda t: t):
            y = score(q, k)
        y.sum().backward()
    assert largest.numbers == block < B * H * N * N * K
    assert sum(tensor.numel() for tensor in kept.values()) < B * H * N * N * K / 4


# --- size and work ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("heads", "head_width"), [(1, 8), (3, 5), (4, 2)])
def test_parameters_by_hand(heads, head_width):
    matrix, row = heads * head_width**2, heads * head_width
    own = {"bilinear": matrix, "scaled_bilinear": matrix, "cosine": heads, "additive": 2 * matrix + row}
    for name, score in SCORES.items():
        assert sum(p.numel() for p in score(heads, head_width).parameters()) == own.get(name, 0)


@pytest.mark.parametrize("score", [Bilinear, ScaledBilinear, Additive])
def test_maps_start_uniform_within_one_over_the_root_of_their_inputs(score):
    for parameter in score(4, 64).parameters():
        assert parameter.shape[1] == 64
        assert 0.95 / 8 < parameter.abs().max() <= 1 / 8


# --- the spread of scores: C6, C29 -----------------------------------------------------------------------------------


def spread(score, head_width, samples=40000):
    """Standard deviation of the scores of independent unit-variance queries and keys."""
    torch.manual_seed(0)
    q, k = torch.randn(2, samples, 1, 1, head_width)
    return score(1, head_width)(q, k).std().item()


@pytest.mark.parametrize("head_width", [1, 8, 64, 512])
def test_scaling_keeps_the_spread_that_grows_as_the_root_of_the_head_width(head_width):
    """sqrt(d_k) without the scaling, 1 with it, within three standard errors.

    The product of two standard normals has kurtosis 9, a sum of d_k of them 3 + 6/d_k; the standard error of a standard
    deviation is sigma sqrt((kurtosis - 1) / 4n) (the delta method).
    """
    error = math.sqrt((2 + 6 / head_width) / (4 * 40000))
    assert abs(spread(Dot, head_width) / math.sqrt(head_width) - 1) < 3 * error
    assert abs(spread(ScaledDot, head_width) - 1) < 3 * error
