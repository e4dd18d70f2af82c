import pytest
import torch
from scipy.stats import chisquare

from study.tasks.parity import Parity


def test_solver_by_hand():
    assert Parity().solve([0, 1, 1, 1, 0, 0, 1]) == [0, 1, 0, 1, 1, 1, 0]


def test_bits_are_fair_and_all_positions_are_scored():
    batch = Parity(length=16).batch(1000, torch.Generator().manual_seed(0))
    assert batch.where_BT is None and batch.targets_BT.shape == (1000, 16)
    assert chisquare(torch.bincount(batch.tokens_BN.flatten()).numpy()).pvalue > 1e-3


def test_slices(rows, power_bin):
    for _, targets, slices in rows(Parity(length=21).batch(3, torch.Generator().manual_seed(0))):
        assert slices == {"position": {i: power_bin(i + 1) for i in targets}}


@pytest.mark.parametrize("length", [2, 32])
def test_heuristic(length, accuracy):
    task = Parity(length=length)
    share, tolerance = accuracy(task, lambda tokens, position, rng: tokens[position])
    assert share == pytest.approx(task.heuristic[1], abs=tolerance)


def test_out():
    assert Parity(length=32).evaluations()["out"].length == 64
    assert Parity(length=32, out_length=40).evaluations()["out"].length == 40
    assert set(Parity(out_length=0).evaluations()) == {"test"}
    assert set(Parity().evaluations()["out"].evaluations()) == {"test"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "length is 0; it must be at least 1"),
        (
            {"length": 32, "out_length": 32},
            "out_length is 32, no longer than length .32.; .* null for 64, or 0",
        ),
        ({"out_length": -1}, "out_length is -1, no longer than length .32.; use more than 32"),
    ],
)
def test_bad_values(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}[^\n]*$"):
        Parity(**arguments)
