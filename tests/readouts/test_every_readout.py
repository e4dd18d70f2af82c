"""What every readout in conf/readout must satisfy; a new yaml is tested without an edit here.

B batch, N positions, T scored positions, D width, V classes.
"""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from study.readouts.base import Readout
from study.tasks.base import IGNORE
from tests.cases import case, close, made, names

NAME = pytest.mark.parametrize("name", names("readout"))
BOTH = (True, False)
D, V = 8, 5


def build(name, causal=True, training=False) -> Readout:
    return made("readout", name, D, causal=causal).train(training)


def head():
    return nn.Sequential(nn.LayerNorm(D), nn.Linear(D, V))


def test_some_readouts_are_found():
    selecting = {"soft", "argmax", "straight_through", "gumbel", "sampled", "marginal"}
    assert selecting | {"own", "max", "gate", "mean"} <= set(names("readout"))


@NAME
def test_padding_changes_no_answer(name):
    lengths = (13, 9, 1, 4)
    right_BN = torch.arange(13) < torch.tensor(lengths)[:, None]
    for causal, mask_BN in itertools.product(BOTH, (right_BN, right_BN.flip(1))):
        with case(f"causal={causal}", "right" if mask_BN is right_BN else "left"):
            readout, classify = build(name, causal), head()
            x_BND = torch.randn(4, 13, D, requires_grad=True)
            logits_BNV = readout(x_BND, None, mask_BN, classify)
            assert logits_BNV.isfinite().all()
            for b in range(len(lengths)):
                close(logits_BNV[b, mask_BN[b]], readout(x_BND[b, mask_BN[b]][None], None, None, classify)[0])
            (gradient,) = torch.autograd.grad(logits_BNV[mask_BN].square().sum(), x_BND)
            assert gradient[mask_BN].any() and not gradient[~mask_BN].any()


@NAME
def test_a_causal_answer_does_not_know_what_comes_later(name):
    where_BT = torch.tensor([[2], [5], [8]])
    later_BN = torch.arange(9) > where_BT
    for training in BOTH:
        readout, classify, x_BND = build(name, training=training), head(), torch.randn(3, 9, D)
        answers = []
        for x in (x_BND, torch.where(later_BN[..., None], torch.randn(3, 9, D), x_BND)):
            torch.manual_seed(1)
            answers.append(readout(x, where_BT, None, classify))
        assert torch.equal(*answers), f"training={training}"


@NAME
def test_a_bidirectional_answer_may_come_from_anywhere(name):
    """Its Jacobian is not confined to what stands before it (but where the readout reads its own position alone)."""
    readout = build(name, causal=False)
    last = []
    for seed in range(20):
        x_BND = torch.randn(1, 6, D, generator=torch.Generator().manual_seed(seed), requires_grad=True)
        answer = readout(x_BND, torch.tensor([[0]]), None, head())
        last.append(bool(torch.autograd.grad(answer.square().sum(), x_BND)[0][0, 1:].any()))
    assert any(last) == (name != "own") and readout.reach == (0 if name == "own" else None)


@NAME
def test_no_places_named_means_all_of_them(name):
    for causal in BOTH:
        readout, classify, x_BND = build(name, causal), head(), torch.randn(2, 7, D)
        close(readout(x_BND, None, None, classify), readout(x_BND, torch.arange(7).expand(2, -1), None, classify))


@NAME
def test_rows_without_any_real_token_stay_finite(name):
    for causal, training in itertools.product(BOTH, BOTH):
        with case(f"causal={causal}", f"training={training}"):
            readout, classify = build(name, causal, training), head()
            x_BND = torch.randn(3, 11, D, requires_grad=True)
            mask_BN = torch.ones(3, 11, dtype=torch.bool)
            mask_BN[0], mask_BN[1, :5] = False, False
            loss = readout.loss(x_BND, torch.zeros(3, 11, dtype=torch.long), None, mask_BN, classify)
            loss.backward()
            assert loss.isfinite() and x_BND.grad.isfinite().all()
            assert all(p.grad is None or p.grad.isfinite().all() for p in readout.parameters())


@NAME
def test_loss_is_the_mean_cross_entropy_of_the_scored_places(name):
    """Of the logits that `forward` gives under the same draws; places that are not scored add nothing."""
    for training in BOTH:
        with case(f"training={training}"):
            readout, classify, x_BND = build(name, training=training), head(), torch.randn(4, 6, D)
            targets_BT = torch.randint(V, (4, 6))
            targets_BT[1:3, ::2] = IGNORE
            torch.manual_seed(2)
            loss = readout.loss(x_BND, targets_BT, None, None, classify)
            torch.manual_seed(2)
            scored = targets_BT != IGNORE
            logits_MV = readout(x_BND, None, None, classify)[scored]
            close(loss, F.cross_entropy(logits_MV, targets_BT[scored]))


@NAME
def test_draws_are_those_of_training_and_a_function_of_torchs_seed(name):
    readout, classify, x_BND = build(name), head(), torch.randn(4, 6, D)
    losses, targets_BT = [], torch.zeros(4, 6, dtype=torch.long)
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        losses.append(readout.train().loss(x_BND, targets_BT, None, None, classify).item())
    assert losses[0] == losses[1]
    assert (losses[0] != losses[2]) == (name in ("gumbel", "sampled"))
    before, first = torch.get_rng_state(), readout.eval()(x_BND, None, None, classify)
    readout.loss(x_BND, targets_BT, None, None, classify)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, readout(x_BND, None, None, classify))


@NAME
def test_autocast_stays_close_to_float32(name):
    for training in BOTH:
        readout, classify, x_BND = build(name, training=training), head(), torch.randn(2, 9, D)
        if training and name not in ("soft", "argmax", "marginal", "max", "mean", "gate", "own"):
            readout.loss(x_BND, torch.zeros(2, 9, dtype=torch.long), None, None, classify).backward()
            continue  # a choice between near equals may turn
        with torch.autocast("cpu", torch.bfloat16):
            rough = readout(x_BND, None, None, classify)
        error = (rough.float() - readout(x_BND, None, None, classify)).abs()
        assert error.median() < 0.05, f"training={training}"
