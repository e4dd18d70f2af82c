"""What every readout in conf/readout must satisfy; a new yaml is tested without an edit here.

B batch, N positions, T scored positions, D width, V classes.
"""

from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from torch.nn import functional as F

from study import parts
from study.readouts.base import Readout
from study.tasks.base import IGNORE

CONF = Path(__file__).parents[2] / "conf" / "readout"
READOUTS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("*.yaml"))}
NAME = pytest.mark.parametrize("name", READOUTS)
CAUSAL = pytest.mark.parametrize("causal", [True, False], ids=["causal", "bidirectional"])
TRAINING = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
D, V = 8, 5


def settings(name):
    return {key: value for key, value in READOUTS[name].items() if key != "name"}


def readout_class(name) -> type[Readout]:
    return parts.load("readout", name)


def build(name, causal=True, width=D, training=False) -> Readout:
    torch.manual_seed(0)
    return readout_class(name)(width, causal=causal, **settings(name)).train(training)


def head(width=D):
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, V))


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)


def test_some_readouts_are_found():
    selecting = {"soft", "argmax", "straight_through", "gumbel", "sampled", "marginal"}
    assert selecting | {"own", "max", "gate", "mean"} <= set(READOUTS)


@NAME
@CAUSAL
@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_changes_no_answer(name, causal, side):
    readout, classify = build(name, causal), head()
    x_BND = torch.randn(4, 13, D, requires_grad=True)
    lengths = (13, 9, 1, 4)
    mask_BN = torch.arange(13) < torch.tensor(lengths)[:, None]
    if side == "left":
        mask_BN = mask_BN.flip(1)
    logits_BNV = readout(x_BND, None, mask_BN, classify)
    assert logits_BNV.isfinite().all()
    for b in range(len(lengths)):
        close(logits_BNV[b, mask_BN[b]], readout(x_BND[b, mask_BN[b]][None], None, None, classify)[0])
    (gradient,) = torch.autograd.grad(logits_BNV[mask_BN].square().sum(), x_BND)
    assert gradient[mask_BN].any() and not gradient[~mask_BN].any()


@NAME
@TRAINING
def test_a_causal_answer_does_not_know_what_comes_later(name, training):
    readout, classify = build(name, training=training), head()
    x_BND, where_BT = torch.randn(3, 9, D), torch.tensor([[2], [5], [8]])
    later_BN = torch.arange(9) > where_BT
    answers = []
    for x in (x_BND, torch.where(later_BN[..., None], torch.randn(3, 9, D), x_BND)):
        torch.manual_seed(1)
        answers.append(readout(x, where_BT, None, classify))
    assert torch.equal(*answers)


@NAME
def test_a_bidirectional_answer_may_come_from_anywhere(name):
    """Its Jacobian is not confined to what stands before it (but where the readout reads its own position alone)."""
    readout = build(name, causal=False)
    last = []
    for seed in range(20):
        x_BND = torch.randn(1, 6, D, generator=torch.Generator().manual_seed(seed), requires_grad=True)
        answer = readout(x_BND, torch.tensor([[0]]), None, head())
        last.append(bool(torch.autograd.grad(answer.square().sum(), x_BND)[0][0, 1:].any()))
    assert any(last) == (name != "own")


@NAME
@CAUSAL
def test_no_places_named_means_all_of_them(name, causal):
    readout, classify, x_BND = build(name, causal), head(), torch.randn(2, 7, D)
    close(readout(x_BND, None, None, classify), readout(x_BND, torch.arange(7).expand(2, -1), None, classify))


@NAME
@CAUSAL
@TRAINING
def test_rows_without_any_real_token_stay_finite(name, causal, training):
    readout, classify = build(name, causal, training=training), head()
    x_BND = torch.randn(3, 11, D, requires_grad=True)
    mask_BN = torch.ones(3, 11, dtype=torch.bool)
    mask_BN[0], mask_BN[1, :5] = False, False
    loss = readout.loss(x_BND, torch.zeros(3, 11, dtype=torch.long), None, mask_BN, classify)
    loss.backward()
    assert loss.isfinite() and x_BND.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in readout.parameters())


@NAME
@TRAINING
def test_loss_is_the_mean_cross_entropy_of_the_scored_places(name, training):
    """Of the logits that `forward` gives under the same draws; places that are not scored add nothing."""
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
def test_evaluation_draws_nothing(name):
    readout, classify, x_BND = build(name), head(), torch.randn(4, 6, D)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = readout(x_BND, None, None, classify)
    readout.loss(x_BND, torch.zeros(4, 6, dtype=torch.long), None, None, classify)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, readout(x_BND, None, None, classify))


@NAME
def test_training_draws_are_a_function_of_torchs_seed(name):
    readout, classify, x_BND = build(name, training=True), head(), torch.randn(4, 6, D)
    losses = []
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        losses.append(readout.loss(x_BND, torch.zeros(4, 6, dtype=torch.long), None, None, classify).item())
    assert losses[0] == losses[1]
    assert (losses[0] != losses[2]) == (name in ("gumbel", "sampled"))


@NAME
def test_reach_is_where_an_answer_comes_from(name):
    assert build(name).reach == (0 if name == "own" else None)


@NAME
@TRAINING
def test_autocast_stays_close_to_float32(name, training):
    readout, classify, x_BND = build(name, training=training), head(), torch.randn(2, 9, D)
    if training and name not in ("soft", "argmax", "marginal", "max", "mean", "gate", "own"):
        readout.loss(x_BND, torch.zeros(2, 9, dtype=torch.long), None, None, classify).backward()
        return  # a choice between near equals may turn
    with torch.autocast("cpu", torch.bfloat16):
        rough = readout(x_BND, None, None, classify)
    error = (rough.float() - readout(x_BND, None, None, classify)).abs()
    assert error.median() < 0.05
