"""What is read off a model: right by hand, and without a trace in the run."""

import math

import pytest
import torch

from study.probes.diagnostics import SEQUENCES, diagnose, effective_rank


def test_effective_rank_by_hand():
    assert effective_rank(torch.eye(5)) == pytest.approx(5)
    assert effective_rank(torch.ones(9, 4)) == pytest.approx(1)
    shares = [0.5, 0.25, 0.25]
    entropy = -sum(share * math.log(share) for share in shares)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.double))
    assert effective_rank(torch.diag(torch.tensor([4.0, 2.0, 2.0]).double()) @ rotation) == pytest.approx(math.exp(entropy))


@pytest.mark.parametrize("task", ["recall", "reverse"])
def test_it_is_what_backward_and_the_singular_values_say(module, task):
    held = module(task, "model.layers=3")
    batch = held.draw(held.task, "validation", 0, SEQUENCES)
    held.loss(batch).backward()
    norms = [math.sqrt(sum(float(p.grad.double().square().sum()) for p in block.parameters())) for block in held.model.blocks]
    read = []
    held.model.head.register_forward_pre_hook(lambda head, given: read.append(given[0]))
    held.model(batch.tokens_BN, mask_BN=batch.mask_BN)
    real = torch.ones_like(batch.tokens_BN, dtype=torch.bool) if batch.mask_BN is None else batch.mask_BN
    rank = effective_rank(read[0][real].detach())
    held.zero_grad()
    found = diagnose(held)
    assert found["gradient_ratio"] == pytest.approx(norms[0] / norms[-1], rel=1e-4)
    assert found["effective_rank"] == pytest.approx(rank, rel=1e-4)


def test_it_leaves_no_trace(module):
    held = module("recall", "model.layers=3", "model.dropout=0.5")
    state, weights = torch.get_rng_state(), {k: v.clone() for k, v in held.state_dict().items()}
    for mode in (True, False):
        held.train(mode)
        first, again = diagnose(held), diagnose(held)
        assert first == again  # no dropout
        assert held.training is held.model.blocks[0].training is mode
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weights[key], value) for key, value in held.state_dict().items())
    assert all(parameter.grad is None for parameter in held.parameters())


def test_without_residual_or_norm_all_tokens_come_to_look_alike(module):
    ways = ("model.arrangement=plain", "model.arrangement=pre_norm")
    plain, normed = (diagnose(module("recall", "model.layers=6", way)) for way in ways)
    assert plain["effective_rank"] < 0.5 * normed["effective_rank"]
