"""Soft and hard attention: weights and values against plain loops; gradient estimators against the exact gradient.

B batch, N positions, T scored positions, D width, V classes.
"""

import math

import pytest
import torch
from scipy.stats import chisquare
from torch import nn
from torch.nn import functional as F

from study.readouts.argmax import Argmax
from study.readouts.base import hard
from study.readouts.gumbel import Gumbel
from study.readouts.marginal import Marginal
from study.readouts.sampled import Sampled
from study.readouts.soft import Soft
from study.readouts.straight_through import StraightThrough

HARD = pytest.mark.parametrize("kind", [Argmax, StraightThrough, Gumbel, Sampled])
ALWAYS_HARD = pytest.mark.parametrize("kind", [StraightThrough, Gumbel, Sampled])
N, D, V = 4, 3, 3


def build(kind, width=D, training=False, causal=True, **keys):
    torch.manual_seed(0)
    readout = kind(width, causal=causal, **keys).double().train(training)
    with torch.no_grad():
        readout.query.weight.mul_(3)  # weights that tell positions apart
    return readout


def head(width=D):
    torch.manual_seed(1)
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, V)).double()


def sequences(B=1, length=N, width=D):
    return torch.randn(B, length, width, dtype=torch.double, generator=torch.Generator().manual_seed(2))


def plain_weights(readout, x_ND, where, allowed):
    """The softmax of the bilinear scores, position by position."""
    n_ND = [(row - row.mean()) / (row.var(unbiased=False) + 1e-5).sqrt() for row in x_ND]
    scores = {i: float(readout.query.weight.detach() @ n_ND[where] @ n_ND[i]) / math.sqrt(x_ND.shape[1]) for i in allowed}
    total = sum(math.exp(score) for score in scores.values())
    return [math.exp(scores[i]) / total if i in scores else 0.0 for i in range(len(x_ND))]


# --- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [True, False])
def test_weights_are_a_softmax_of_bilinear_scores_and_exactly_zero_elsewhere(causal):
    readout, x_BND = build(Soft, causal=causal), sequences(3, 7)
    mask_BN = torch.ones(3, 7, dtype=torch.bool)
    mask_BN[1, 2], mask_BN[2, 4:] = False, False
    where_BT = torch.tensor([[6, 2], [3, 5], [3, 0]])
    weights_BTN = readout.log_weights(x_BND, where_BT, mask_BN).exp()
    for b in range(3):
        for t in range(2):
            where = int(where_BT[b, t])
            allowed = [i for i in range(7) if mask_BN[b, i] and (i <= where or not causal)]
            expected = plain_weights(readout, x_BND[b], where, allowed)
            assert weights_BTN[b, t].tolist() == pytest.approx(expected, abs=1e-12)
            assert {i for i in range(7) if weights_BTN[b, t, i] == 0} == set(range(7)) - set(allowed)


def test_soft_reads_the_weighted_mean():
    readout, x_BND, where_BT = build(Soft, width=6), sequences(2, 5, 6), torch.tensor([[4], [2]])
    for b, where in enumerate([4, 2]):
        weights = plain_weights(readout, x_BND[b], where, range(where + 1))
        expected = sum(weight * row for weight, row in zip(weights, x_BND[b], strict=True))
        for training in (True, False):
            torch.testing.assert_close(readout.train(training).read(x_BND, where_BT, None)[b, 0], expected)


@HARD
def test_evaluation_reads_the_likeliest_position(kind):
    readout, x_BND, where_BT = build(kind, width=6), sequences(20, 5, 6), torch.full((20, 1), 4)
    found = readout.read(x_BND, where_BT, None)
    choices = set()
    for b in range(20):
        weights = plain_weights(readout, x_BND[b], 4, range(5))
        choice = weights.index(max(weights))
        choices.add(choice)
        assert torch.equal(found[b, 0], x_BND[b, choice])
    assert len(choices) > 2


def test_argmax_trains_as_soft_attention_does():
    x_BND, where_BT, targets_BT = sequences(5), torch.full((5, 1), N - 1), torch.randint(V, (5, 1))
    losses = [build(kind, training=True).loss(x_BND, targets_BT, where_BT, None, head()) for kind in (Soft, Argmax)]
    assert torch.equal(*losses)


@ALWAYS_HARD
def test_hard_attention_puts_weight_one_on_one_position(kind):
    """Exactly, in training too, and never on a position that may not be read."""
    readout, x_BND = build(kind, width=16, training=True), sequences(200, 9, 16)
    mask_BN = torch.rand(200, 9, generator=torch.Generator().manual_seed(3)) < 0.7
    mask_BN[:, 0] = True
    for x, log_dtype in ((x_BND, torch.double), (x_BND.float(), torch.float)):
        log_BTN = readout.to(x.dtype).log_weights(x, None, mask_BN)
        weights_BTN = readout.weights(log_BTN)
        assert weights_BTN.dtype == log_dtype
        assert set(weights_BTN.unique().tolist()) == {0.0, 1.0}
        assert (weights_BTN.sum(-1) == 1).all()
        allowed_BTN = mask_BN[:, None] & torch.ones(9, 9, dtype=torch.bool).tril()
        assert not weights_BTN[~allowed_BTN].any()
        read_BTD = readout.eval().read(x, None, mask_BN)
        distance_BTN = (read_BTD[:, :, None] - x[:, None]).abs().sum(-1)
        assert ((distance_BTN == 0) & allowed_BTN).sum(-1).eq(1).all()
        readout.train()


@pytest.mark.parametrize("kind", [Gumbel, Sampled])
def test_draws_have_the_odds_of_the_weights(kind):
    readout = build(kind, training=True)
    log_BTN = readout.log_weights(sequences(), torch.tensor([[N - 1]]), None)
    torch.manual_seed(5)
    counts_N = readout.weights(log_BTN.detach().expand(20_000, 1, N)).sum((0, 1))
    expected_N = 20_000 * log_BTN[0, 0].exp().detach()
    assert expected_N.min() > 200
    assert chisquare(counts_N.numpy(), expected_N.numpy()).pvalue > 1e-3


def test_marginal_mixes_the_answers_of_all_positions():
    readout, classify, x_BND = build(Marginal), head(), sequences(2)
    logits_BTV = readout(x_BND, torch.tensor([[3], [1]]), None, classify)
    for b, where in enumerate([3, 1]):
        weights = plain_weights(readout, x_BND[b], where, range(where + 1))
        mixed = sum(w * classify(row).softmax(-1) for w, row in zip(weights, x_BND[b], strict=True))
        torch.testing.assert_close(logits_BTV[b, 0].exp(), mixed)
        assert logits_BTV[b, 0].exp().sum().item() == pytest.approx(1, abs=1e-12)


# --- what an answer takes in ---------------------------------------------------------------------------------------------


def influential(readout, x_BND):
    """How many positions the vector read at the last one depends on: nonzero blocks of its Jacobian."""
    last = torch.tensor([[x_BND.shape[1] - 1]])
    jacobian = torch.autograd.functional.jacobian(lambda x: readout.read(x, last, None)[0, 0], x_BND)  # (D, 1, N, D)
    return int(jacobian.abs().amax((0, 1, 3)).gt(0).sum())


@pytest.mark.parametrize("length", [2, 5, 16])
def test_soft_attention_takes_in_every_value(length):
    assert [influential(build(Soft, width=6), x[None]) for x in sequences(8, length, 6)] == [length] * 8


@pytest.mark.parametrize("length", [2, 5, 16])
@HARD
def test_hard_attention_takes_in_one_value(kind, length):
    """Which one is decided by comparing all keys; but no small change of another position changes the answer."""
    assert [influential(build(kind, width=6), x[None]) for x in sequences(8, length, 6)] == [1] * 8


# --- gradients ---------------------------------------------------------------------------------------------------------

WHERE, TARGET = torch.tensor([[N - 1]]), torch.tensor([[1]])
GROUPS, EACH = 200, 100


def losses_by_position(x_BND, classify):
    """The cross-entropy of the answer read from each position, (N,)."""
    return -classify(x_BND[0]).log_softmax(-1)[:, TARGET.item()]


def wanted(readout, classify, x_BND):
    return [x_BND, readout.query.weight, readout.norm.weight, *classify.parameters()]


def exact_gradient(readout, classify, x_BND):
    """Of the expected loss sum_i w_i l_i, by enumeration."""
    weights_N = readout.log_weights(x_BND, WHERE, None)[0, 0].exp()
    expected = (weights_N * losses_by_position(x_BND, classify)).sum()
    return torch.autograd.grad(expected, wanted(readout, classify, x_BND))


def estimates(readout, classify, x_BND, seed=7):
    """Mean and its standard error of the gradient that training gets, over GROUPS x EACH draws."""
    torch.manual_seed(seed)
    found = []
    for _ in range(GROUPS):
        batch = x_BND.expand(EACH, -1, -1)
        loss = readout.loss(batch, TARGET.expand(EACH, 1), WHERE.expand(EACH, 1), None, classify)
        found.append(torch.autograd.grad(loss, wanted(readout, classify, x_BND)))
    stacked = [torch.stack(parts) for parts in zip(*found, strict=True)]
    return [s.mean(0) for s in stacked], [s.std(0) / GROUPS**0.5 for s in stacked]


def off(means, errors, exact):
    """The largest distance from the exact gradient, in standard errors."""
    return max(float(((m - g).abs() / (e + 1e-12)).max()) for m, e, g in zip(means, errors, exact, strict=True))


@pytest.mark.parametrize("baseline", [0.0, 2.0])
def test_reinforce_is_unbiased_whatever_the_baseline(baseline):
    readout, classify, x_BND = build(Sampled, training=True), head(), sequences().requires_grad_()
    nn.init.constant_(readout.baseline.bias, baseline)
    exact = exact_gradient(readout, classify, x_BND)
    means, errors = estimates(readout, classify, x_BND)
    assert off(means, errors, exact) < 4.5
    # and the draws are many enough to tell: half the gradient would be far off
    assert off([m / 2 for m in means], errors, exact) > 9


def test_a_good_baseline_lowers_the_variance():
    readout, classify, x_BND = build(Sampled, training=True), head(), sequences().requires_grad_()
    expected = (readout.log_weights(x_BND, WHERE, None)[0, 0].exp() * losses_by_position(x_BND, classify)).sum()
    spread = []
    for bias in (float(expected), float(expected) + 5):
        nn.init.zeros_(readout.baseline.weight)
        nn.init.constant_(readout.baseline.bias, bias)
        spread.append(float(estimates(readout, classify, x_BND)[1][1].square().sum()))
    assert spread[0] < spread[1] / 4


def test_the_baseline_is_fitted_to_the_losses():
    readout, classify, x_BND = build(Sampled, training=True), head(), sequences().requires_grad_()
    nn.init.zeros_(readout.baseline.weight)
    nn.init.constant_(readout.baseline.bias, 2.0)
    torch.manual_seed(8)
    loss = readout.loss(x_BND, TARGET, WHERE, None, classify)
    torch.manual_seed(8)
    drawn = int(readout.draw(readout.log_weights(x_BND, WHERE, None)))
    assert float(loss) == pytest.approx(float(losses_by_position(x_BND, classify)[drawn]), abs=1e-12)
    bias, weight = torch.autograd.grad(loss, [readout.baseline.bias, readout.baseline.weight])
    assert float(bias) == pytest.approx(2.0 - float(loss), abs=1e-12)
    torch.testing.assert_close(weight[0], (2.0 - float(loss)) * x_BND[0, -1].detach())


def test_the_marginals_gradient_is_exact():
    """Against -log of the enumerated mixture."""
    readout, classify, x_BND = build(Marginal, training=True), head(), sequences().requires_grad_()

    def enumerated():
        weights_N = readout.log_weights(x_BND, WHERE, None)[0, 0].exp()
        return -(weights_N * (-losses_by_position(x_BND, classify)).exp()).sum().log()

    loss = readout.loss(x_BND, TARGET, WHERE, None, classify)
    torch.testing.assert_close(loss, enumerated())
    inputs = wanted(readout, classify, x_BND)
    for a, e in zip(torch.autograd.grad(loss, inputs), torch.autograd.grad(enumerated(), inputs), strict=True):
        torch.testing.assert_close(a, e)


def test_straight_through_is_the_slope_at_the_hard_choice_along_the_soft_weights_and_biased():
    readout, classify, x_BND = build(StraightThrough, training=True), head(), sequences().requires_grad_()
    (got,) = torch.autograd.grad(readout.loss(x_BND, TARGET, WHERE, None, classify), readout.query.weight)
    weights_N = readout.log_weights(x_BND, WHERE, None)[0, 0].exp()
    chosen_D = x_BND[0, int(weights_N.argmax())].detach().requires_grad_()
    (slope_D,) = torch.autograd.grad(F.cross_entropy(classify(chosen_D)[None], TARGET[0]), chosen_D)
    (documented,) = torch.autograd.grad((weights_N @ x_BND[0].detach()) @ slope_D, readout.query.weight)
    torch.testing.assert_close(got, documented)
    exact = exact_gradient(readout, classify, x_BND)[1]
    assert (got - exact).norm() > 0.1 * exact.norm()


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_gumbel_is_torchs_gumbel_softmax(temperature):
    readout, x_BND = build(Gumbel, training=True, temperature=temperature), sequences(5).requires_grad_()
    log_BTN = readout.log_weights(x_BND, None, None)
    torch.manual_seed(9)
    ours = readout.weights(log_BTN)
    torch.manual_seed(9)
    theirs = F.gumbel_softmax(log_BTN, tau=temperature, hard=True)
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    for a, e in zip(
        *(torch.autograd.grad((w * direction).sum(), [x_BND, readout.query.weight], retain_graph=True) for w in (ours, theirs)),
        strict=True,
    ):
        torch.testing.assert_close(a, e)


def test_hard_weights_keep_the_soft_gradient():
    soft_N = torch.tensor([0.2, 0.5, 0.3], requires_grad=True)
    one_N = hard(soft_N)
    assert one_N.tolist() == [0.0, 1.0, 0.0]
    (gradient,) = torch.autograd.grad(one_N @ torch.tensor([1.0, 2.0, 3.0]), soft_N)
    assert gradient.tolist() == [1.0, 2.0, 3.0]
