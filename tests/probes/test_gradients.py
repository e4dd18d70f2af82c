"""The gradient against distance: what finite differences say, and what is known of networks it must tell apart."""

import pytest
import torch
from torch.nn import functional as F

from study.probes.gradients import SEQUENCES, come_back
from study.training.build import build_model, build_task
from study.training.module import Training


def made(tiny, *overrides, task="recall"):
    config = tiny(*overrides, task=task)
    torch.manual_seed(0)
    task = build_task(config)
    return Training(build_model(config, task), task, config)


@pytest.mark.parametrize("task, mixer", [("recall", "elman"), ("parity", "attention"), ("copy", "gru")])
def test_it_is_what_finite_differences_say(tiny, task, mixer):
    module = made(tiny, f"mixer={mixer}", "model.layers=1", task=task)
    found = come_back(module)
    batch = module.draw(module.task, "validation", 0, SEQUENCES)
    model, step = module.model.double().eval(), 1e-5
    x_BND = model.embedding(batch.tokens_BN).detach()
    model.embedding = torch.nn.Identity()
    scored_BT = batch.targets_BT != -100
    where_BT = torch.arange(scored_BT.shape[1]).expand_as(scored_BT) if batch.where_BT is None else batch.where_BT
    last = [max((int(where_BT[b, t]), t) for t in range(scored_BT.shape[1]) if scored_BT[b, t]) for b in range(SEQUENCES)]
    place_B = torch.tensor([place for place, _ in last])
    target_B = torch.tensor([int(batch.targets_BT[b, t]) for b, (_, t) in enumerate(last)])

    def losses(x_BND):
        logits_BV = model(x_BND, place_B[:, None], batch.mask_BN)[:, 0]
        return F.cross_entropy(logits_BV, target_B, reduction="none").detach()

    for distance in (1, 4):
        there = [b for b in range(SEQUENCES) if place_B[b] >= distance]
        squares_B = torch.zeros(SEQUENCES, dtype=torch.double)
        for column in range(x_BND.shape[-1]):
            moved_BND = torch.zeros_like(x_BND)
            moved_BND[there, place_B[there] - distance, column] = step
            squares_B += ((losses(x_BND + moved_BND) - losses(x_BND - moved_BND)) / (2 * step)) ** 2
        assert found[str(distance)]["gradient"] == pytest.approx(float(squares_B.sqrt()[there].mean()), rel=1e-4)


def test_what_a_convolution_does_not_see_has_none(tiny):
    found = come_back(made(tiny, "mixer=convolution", "mixer.kernel=5", "model.layers=1"))
    assert all((norm["gradient"] > 0) == (int(distance) <= 4) for distance, norm in found.items())


def test_of_an_elman_network_it_vanishes_and_stays_a_number(tiny):
    far = "task.length=512"
    elman, attention = (come_back(made(tiny, f"mixer={name}", "model.layers=1", far)) for name in ("elman", "attention"))
    assert 0 < elman["256"]["gradient"] < 1e-30 * elman["1"]["gradient"]
    assert attention["256"]["gradient"] > 0.1 * attention["1"]["gradient"]


def test_it_leaves_no_trace(tiny):
    module = made(tiny, "model.dropout=0.5")
    state, weights = torch.get_rng_state(), {k: v.clone() for k, v in module.state_dict().items()}
    assert come_back(module) == come_back(module)
    assert module.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weights[key], value) for key, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
