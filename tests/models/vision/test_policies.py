"""REINFORCE against gradients that can be written down."""

import math

import pytest
import torch

from study.models.vision.policies import Learned

NORMAL = torch.distributions.Normal(0.0, 1.0)


def expected_reward(means_G2, spread, edges):
    """P(glimpse g lies above edges[g] in rows, for every g): a product, as glimpses are drawn on their own."""
    return NORMAL.cdf((means_G2[:, 0] - torch.tensor(edges)) / spread).prod()


def policy(spread=0.2):
    torch.manual_seed(0)
    return Learned(4, spread=spread, weight=1.0)


STATES_GD = torch.tensor([[1.0, 2.0, -1.0, 0.5], [-0.5, 1.0, 1.5, 0.3]])
EDGES = [-0.2, -0.3]


def estimates(learned, repeats=100, size=1000):
    """Minus the gradients of the loss for the means' weights, each averaged over `size` draws."""
    found = []
    for seed in range(repeats):
        torch.manual_seed(seed)
        states_BGD = STATES_GD.expand(size, -1, -1)
        locations_BG2 = torch.stack([learned(states_BGD[:, g]) for g in range(2)], 1).detach()
        reward_B = (locations_BG2[..., 0] > torch.tensor(EDGES)).all(1).float()
        (gradient,) = torch.autograd.grad(learned.loss(states_BGD, locations_BG2, reward_B), learned.mean.weight)
        found.append(-gradient.double())
    return torch.stack(found)


def expected(learned):
    unit_GD = STATES_GD / STATES_GD.norm(dim=-1, keepdim=True)
    return expected_reward((unit_GD @ learned.mean.weight.T + learned.mean.bias).tanh(), learned.spread, EDGES)


def exact(learned):
    return torch.autograd.grad(expected(learned), learned.mean.weight)[0].double()


@pytest.mark.parametrize("baseline", [0.0, 0.7, -0.5])
def test_the_gradient_is_unbiased_whatever_the_baseline(baseline):
    learned = policy()
    with torch.no_grad():
        learned.baseline.weight.zero_()
        learned.baseline.bias.fill_(baseline)
    found = estimates(learned)
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - exact(learned)).abs() < 4 * error).all()
    assert (exact(learned)[0].abs() > 4 * error[0]).all(), "a gradient of zero would not pass"


def test_the_baseline_is_fitted_to_the_reward_and_moves_nothing_else():
    learned = policy()
    states = STATES_GD[None].clone().requires_grad_()
    advantage = torch.tensor([1.0]) - learned.baseline(states)[0, :, 0]
    locations = torch.rand(1, 2, 2)
    loss = learned.loss(states, locations, torch.tensor([1.0]))
    (by_weight,) = torch.autograd.grad(loss, learned.baseline.bias)
    assert by_weight.item() == pytest.approx(-2 * advantage.sum().item(), rel=1e-5), "of the squared error alone"


@pytest.mark.parametrize("weight", [1.0, 0.1])
def test_by_hand(weight):
    learned = Learned(4, spread=0.5, weight=weight)
    with torch.no_grad():
        for parameter in learned.parameters():
            parameter.zero_()
        learned.mean.bias.copy_(torch.tensor([0.5, -0.5]))
        learned.baseline.bias.fill_(0.25)
    loss = learned.loss(torch.ones(1, 1, 4), torch.tensor([[[1.0, 0.0]]]), torch.tensor([1.0]))
    mean = math.tanh(0.5)
    log_density = -(((1 - mean) / 0.5) ** 2 + ((0 + mean) / 0.5) ** 2) / 2
    assert loss.item() == pytest.approx(weight * (0.75**2 - 0.75 * log_density), rel=1e-6)
