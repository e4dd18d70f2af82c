"""The score that a task names for a trivial strategy is what that strategy scores: found by guessing, place by place."""

import random
from collections import Counter
from collections.abc import Callable

import pytest

from study.tasks.base import Task
from tests.cases import case, made
from tests.tasks.conftest import generator

Guess = Callable[[Task, list[int], int, random.Random], int]  # of the task, its tokens, and a place to answer


def last_opened(task, tokens, position, rng):
    return next(token for token in reversed(tokens[:position]) if token < task.types)


def last_noun(task, tokens, position, rng):
    return next(token for token in reversed(tokens) if token < 2 * task.nouns) // task.nouns


def any_value(task, tokens, position, rng):
    return rng.choice([token - task.keys for token in tokens if task.keys <= token < task.filler])


def first_lookup(task, tokens, position, rng):
    return task.solve(tokens)[position] % task.values + task.values * rng.randrange(task.values ** (task.lookups - 1))


GUESSES: dict[str, tuple[Guess, list[dict]]] = {
    "agreement": (last_noun, [{"length": 20, "most": 1}, {"length": 20, "most": 4}]),
    "brackets": (last_opened, [{"length": 10}, {"length": 25, "types": 2, "depth": 1}, {"depth": 6}]),
    "copy": (
        lambda task, tokens, position, rng: tokens[tokens.index(task.symbols) - 1],
        [{"min_length": low, "max_length": high, "symbols": 4} for low, high in ((4, 16), (1, 2), (3, 3))],
    ),
    "copy_memory": (
        lambda task, tokens, position, rng: tokens[task.items - 1],
        [{"length": 10, "items": items, "symbols": 3} for items in (1, 4)],
    ),
    "largest": (
        lambda task, tokens, position, rng: tokens[position - 1] % task.symbols,
        [{}, {"length": 4, "saliences": 3, "symbols": 2}],
    ),
    "lookup": (
        lambda task, tokens, position, rng: tokens[position - 1] % task.values,
        [{}, {"length": 4, "keys": 3, "values": 2}],
    ),
    "lookups": (first_lookup, [{"keys": 4, "values": 3, "lookups": lookups} for lookups in (1, 2)]),
    "mqar": (
        any_value,
        [
            {},
            {"length": 3, "pairs": [1], "keys": 1, "values": 2},
            {"length": 40, "pairs": [2, 5, 8], "keys": 10, "values": 9},
            {"length": 24, "pairs": [8], "keys": 8, "values": 8},
        ],
    ),
    "offset": (
        lambda task, tokens, position, rng: rng.choice(tokens[: position + 1]),
        [{"length": length, "distance": distance, "symbols": 4} for length, distance in ((3, 2), (12, 1), (32, 8))],
    ),
    "parity": (lambda task, tokens, position, rng: tokens[position], [{"length": 2}, {"length": 32}]),
    "recall": (
        lambda task, tokens, position, rng: tokens[position - 1] % task.symbols,
        [{}, {"length": 4, "symbols": 2}, {"length": 9, "distances": [1, 4, 8]}],
    ),
    "reverse": (
        lambda task, tokens, position, rng: tokens[position],
        [{"min_length": low, "max_length": high, "symbols": 4} for low, high in ((4, 20), (1, 3), (5, 5))],
    ),
}


def simulated(task: Task, guess: Guess, rows) -> tuple[float, float]:
    """The share of right guesses, and four standard errors of it. Items of one sequence may hang together: it counts those."""
    rng, hits = random.Random(7), []
    for tokens, targets, _ in rows(task.batch(4000, generator(7))):
        hits += [guess(task, tokens, position, rng) == target for position, target in targets.items()]
    share = sum(hits) / len(hits)
    return share, 4 * (share * (1 - share) / 4000) ** 0.5 + 1e-12


@pytest.mark.parametrize("name", GUESSES)
def test_it_scores_what_it_says(name, rows):
    guess, ways = GUESSES[name]
    for keys in ways:
        with case(keys):
            task = made("task", name, **keys)
            share, tolerance = simulated(task, guess, rows)
            assert share == pytest.approx(task.heuristic[1], abs=tolerance)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_that_of_ngrams_is_the_likeliest_answer_to_the_last_token(order, rows):
    task = made("task", "ngram", order=order)
    seen = {token: Counter() for token in range(8)}
    batch = task.batch(2000, generator())
    for token, target in zip(
        batch.tokens_BN[:, order - 1 :].flatten().tolist(), batch.targets_BT.flatten().tolist(), strict=True
    ):
        seen[token][target] += 1
    best = {token: counts.most_common(1)[0][0] for token, counts in seen.items()}
    share, tolerance = simulated(task, lambda task, tokens, position, rng: best[tokens[position]], rows)
    assert share == pytest.approx(task.heuristic[1], abs=max(tolerance, 0.01))
