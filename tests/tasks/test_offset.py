import pytest
import torch
from scipy.stats import chisquare

from study.tasks.base import IGNORE
from study.tasks.offset import Offset


def test_solver_by_hand():
    assert Offset(length=5, distance=2).solve([3, 0, 1, 4, 4]) == [IGNORE, IGNORE, 3, 0, 1]


def test_symbols_are_uniform_and_every_position_from_the_distance_on_is_scored(rows):
    batch = Offset(length=16, distance=5, symbols=6).batch(1000, torch.Generator().manual_seed(0))
    assert chisquare(torch.bincount(batch.tokens_BN.flatten()).numpy()).pvalue > 1e-3
    assert all(list(targets) == list(range(5, 16)) for _, targets, _ in rows(batch))


def test_slices(rows):
    for _, targets, slices in rows(Offset(length=21, distance=3).batch(3, torch.Generator().manual_seed(0))):
        assert slices == {"position": {i: i for i in targets}}


@pytest.mark.parametrize(("length", "distance"), [(3, 2), (12, 1), (32, 8)])
def test_heuristic(length, distance, accuracy):
    task = Offset(length=length, distance=distance, symbols=4)
    share, tolerance = accuracy(task, lambda tokens, position, rng: rng.choice(tokens[: position + 1]))
    assert share == pytest.approx(task.heuristic[1], abs=tolerance)


def test_out():
    out = Offset(length=32, distance=6).evaluations()["out"]
    assert (out.length, out.distance) == (64, 6) and set(out.evaluations()) == {"test"}
    assert Offset(out_length=40).evaluations()["out"].length == 40
    assert set(Offset(out_length=0).evaluations()) == {"test"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distance": 0}, "distance is 0; it must be at least 1"),
        ({"length": 8}, "length is 8; it must be at least 9"),
        ({"symbols": 1}, "symbols is 1; it must be at least 2"),
        ({"out_length": 32}, "out_length is 32, no longer than length .32."),
    ],
)
def test_bad_values(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}[^\n]*$"):
        Offset(**arguments)
