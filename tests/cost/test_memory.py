"""Counted memory against hand counts."""

import torch
from torch import nn
from torch.nn import functional as F

from study.cost.memory import training_bytes

FLOAT = 4


def test_weights_gradients_and_two_moments_are_counted():
    layer = nn.Linear(8, 4, bias=False)
    x = torch.randn(3, 8)
    # backward of a linear map keeps its input alone: 3 x 8 floats
    assert training_bytes(layer.parameters(), lambda: layer(x).sum()) == 4 * (8 * 4 * FLOAT) + 3 * 8 * FLOAT


def test_activations_that_backward_needs_are_counted():
    first, second = nn.Linear(8, 16, bias=False), nn.Linear(16, 2, bias=False)
    x = torch.randn(5, 8)
    weights = (8 * 16 + 16 * 2) * FLOAT
    kept = (5 * 8 + 5 * 16) * FLOAT  # the first map's input; the ReLU's output, which ReLU and second map share
    found = training_bytes([*first.parameters(), *second.parameters()], lambda: second(F.relu(first(x))).sum())
    assert found == 4 * weights + kept


def test_a_storage_that_several_operations_keep_is_counted_once():
    x = torch.randn(10, requires_grad=True)
    found = training_bytes([], lambda: (x * x).sum() + (x * x).sum() + (x.view(2, 5) ** 2).sum())
    assert found == 10 * FLOAT


def test_activations_grow_with_the_batch_and_weights_do_not():
    layer = nn.Linear(8, 8)
    counted = [training_bytes(layer.parameters(), lambda n=n: layer(torch.randn(n, 8)).sum()) for n in (10, 20, 30)]
    assert counted[1] - counted[0] == counted[2] - counted[1] == 10 * 8 * FLOAT


def test_counting_leaves_no_gradients_and_works_without_autograd_on():
    layer = nn.Linear(8, 8)
    with torch.no_grad():
        found = training_bytes(layer.parameters(), lambda: layer(torch.randn(4, 8)).sum())
    assert found == 4 * (8 * 8 + 8) * FLOAT + 4 * 8 * FLOAT
    assert all(p.grad is None for p in layer.parameters())
