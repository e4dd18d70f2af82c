"""Scores against plain Python loops."""

import math

import pytest
import torch

from study.tasks.base import IGNORE, Batch
from study.training.scores import Scores


def random_batch(seed, size=5, places=7, classes=4):
    generator = torch.Generator().manual_seed(seed)
    logits_BTV = torch.randn(size, places, classes, generator=generator)
    targets_BT = torch.randint(classes, (size, places), generator=generator)
    targets_BT[torch.rand(size, places, generator=generator) < 0.3] = IGNORE
    distance_BT = torch.randint(1, 6, (size, places), generator=generator)
    length_BT = torch.randint(3, 5 + seed, (size, 1), generator=generator).expand(-1, places)
    distance_BT = torch.where(targets_BT == IGNORE, -7, distance_BT)  # void where nothing is scored
    return logits_BTV, Batch(torch.zeros(size, 1), targets_BT, slices={"distance": distance_BT, "length": length_BT})


def by_hand(batches):
    """{(slice, value) or None: [items, right, loss]}, by loops over plain numbers."""
    tallies = {}
    for logits_BTV, batch in batches:
        logits, targets = logits_BTV.tolist(), batch.targets_BT.tolist()
        slices = {name: values.tolist() for name, values in batch.slices.items()}
        for b, row in enumerate(targets):
            for t, target in enumerate(row):
                if target == IGNORE:
                    continue
                scores = logits[b][t]
                log_total = math.log(sum(math.exp(s) for s in scores))
                right = scores.index(max(scores)) == target
                for key in [None, *((name, str(values[b][t])) for name, values in slices.items())]:
                    tally = tallies.setdefault(key, [0, 0, 0.0])
                    tally[0] += 1
                    tally[1] += right
                    tally[2] += log_total - scores[target]
    return tallies


def expected(tally):
    items, right, loss = tally
    return {
        "items": items,
        "accuracy": right / items,
        "loss": pytest.approx(loss / items, rel=1e-5),
        "bits_per_character": pytest.approx(loss / items / math.log(2), rel=1e-5),
    }


def test_equal_plain_loops_over_several_batches():
    batches = [random_batch(seed) for seed in range(4)]
    scores = Scores()
    for logits_BTV, batch in batches:
        scores.update(logits_BTV, batch)
    whole, slices = scores.compute()
    tallies = by_hand(batches)
    assert whole == expected(tallies.pop(None))
    flat = {(name, value): found for name, values in slices.items() for value, found in values.items()}
    assert flat == {key: expected(tally) for key, tally in tallies.items()}


def test_bits_per_character_of_items_that_stand_for_several_characters():
    """By hand: four classes alike cost 2 bits an item; 1 + 3 characters in the first row, 2 in the second."""
    targets_BT = torch.tensor([[0, 1], [2, IGNORE]])
    characters_BT = torch.tensor([[1, 3], [2, 9]])
    slices = {"row": torch.tensor([[1, 1], [2, 2]])}
    scores = Scores()
    scores.update(torch.zeros(2, 2, 4), Batch(torch.zeros(2, 2), targets_BT, characters_BT=characters_BT, slices=slices))
    whole, rows = scores.compute()
    assert (whole["items"], whole["characters"]) == (3, 6)
    assert whole["loss"] == pytest.approx(2 * math.log(2))
    assert whole["bits_per_character"] == pytest.approx(3 * 2 / 6)
    assert rows["row"]["1"]["bits_per_character"] == pytest.approx(2 * 2 / 4)
    assert rows["row"]["2"]["bits_per_character"] == pytest.approx(2 / 2)
    assert rows["row"]["2"]["characters"] == 2


def test_reset_forgets_everything():
    scores = Scores()
    scores.update(*random_batch(0))
    scores.reset()
    other = random_batch(1)
    scores.update(*other)
    fresh = Scores()
    fresh.update(*other)
    assert scores.compute() == fresh.compute()


def test_half_precision_logits_are_scored_in_single():
    logits_BTV, batch = random_batch(2)
    half, single = Scores(), Scores()
    half.update(logits_BTV.bfloat16(), batch)
    single.update(logits_BTV.bfloat16().float(), batch)
    assert half.compute() == single.compute()
    assert half.totals[0].dtype == torch.float64
