"""What is read off a model: right by hand, and without a trace in the run."""

import math

import pytest
import torch

from study.probes.diagnostics import SEQUENCES, diagnose, effective_rank
from study.training.build import build_model, build_task
from study.training.module import Training


def made(tiny, *overrides, task="recall"):
    config = tiny("model.layers=3", *overrides, task=task)
    torch.manual_seed(0)
    task = build_task(config)
    return Training(build_model(config, task), task, config)


def test_effective_rank_by_hand():
    assert effective_rank(torch.eye(5)) == pytest.approx(5)
    assert effective_rank(torch.ones(9, 4)) == pytest.approx(1)
    shares = [0.5, 0.25, 0.25]
    entropy = -sum(share * math.log(share) for share in shares)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.double))
    assert effective_rank(torch.diag(torch.tensor([4.0, 2.0, 2.0]).double()) @ rotation) == pytest.approx(math.exp(entropy))


@pytest.mark.parametrize("task", ["recall", "reverse"])
def test_it_is_what_backward_and_the_singular_values_say(tiny, task):
    module = made(tiny, task=task)
    batch = module.draw(module.task, "validation", 0, SEQUENCES)
    module.loss(batch).backward()
    norms = [math.sqrt(sum(float(p.grad.double().square().sum()) for p in block.parameters())) for block in module.model.blocks]
    read = []
    module.model.head.register_forward_pre_hook(lambda head, given: read.append(given[0]))
    module.model(batch.tokens_BN, mask_BN=batch.mask_BN)
    real = torch.ones_like(batch.tokens_BN, dtype=torch.bool) if batch.mask_BN is None else batch.mask_BN
    rank = effective_rank(read[0][real].detach())
    module.zero_grad()
    found = diagnose(module)
    assert found["gradient_ratio"] == pytest.approx(norms[0] / norms[-1], rel=1e-4)
    assert found["effective_rank"] == pytest.approx(rank, rel=1e-4)


def test_it_leaves_no_trace(tiny):
    module = made(tiny, "model.dropout=0.5")
    state, weights = torch.get_rng_state(), {k: v.clone() for k, v in module.state_dict().items()}
    for mode in (True, False):
        module.train(mode)
        first, again = diagnose(module), diagnose(module)
        assert first == again  # no dropout
        assert module.training is module.model.blocks[0].training is mode
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weights[key], value) for key, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_without_residual_or_norm_all_tokens_come_to_look_alike(tiny):
    deep = "model.layers=6"
    plain, normed = (diagnose(made(tiny, deep, f"model.arrangement={name}")) for name in ("plain", "pre_norm"))
    assert plain["effective_rank"] < 0.5 * normed["effective_rank"]
