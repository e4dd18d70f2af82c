"""What holds for every task: found from conf/task, so that a new one is tested at once."""

import inspect
import math
import random

import pytest
import torch
import yaml

from study import parts
from study.seeding import stream
from study.tasks.base import IGNORE


def draw(task, seed, split="train", size=32):
    return task.batch(size, torch.Generator().manual_seed(seed), split)


def tensors(batch):
    named = {
        "tokens": batch.tokens_BN,
        "targets": batch.targets_BT,
        "where": batch.where_BT,
        "mask": batch.mask_BN,
        "sources": batch.sources_BT,
    }
    return {name: value for name, value in (named | batch.slices).items() if value is not None}


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(tensors(one).values(), tensors(other).values(), strict=True))


def test_yaml_names_and_explains_every_argument(task_yaml):
    lines = [line for line in task_yaml.read_text().splitlines() if ":" in line.split("#")[0]]
    node = yaml.safe_load(task_yaml.read_text())
    parameters = inspect.signature(parts.load("task", node.pop("name"))).parameters.values()
    assert [p.kind for p in parameters] == [inspect.Parameter.KEYWORD_ONLY] * len(parameters)
    assert [p.name for p in parameters] == list(node)
    for parameter in parameters:
        if parameter.default is not inspect.Parameter.empty:
            assert node[parameter.name] == parameter.default
    assert not [line for line in lines if "#" not in line and not line.startswith("name:")]


def test_shapes_types_and_ranges(task):
    batch = draw(task, 0)
    B, T = batch.targets_BT.shape
    assert batch.tokens_BN.shape == (32, task.length)
    assert B == 32
    assert {value.dtype for name, value in tensors(batch).items() if name != "mask"} == {torch.long}
    assert 0 <= batch.tokens_BN.min() and batch.tokens_BN.max() < task.vocabulary
    scored = batch.targets_BT[batch.targets_BT != IGNORE]
    assert 0 <= scored.min() and scored.max() < task.classes
    if batch.where_BT is None:
        assert T == task.length
    else:
        assert batch.where_BT.shape == (B, T)
        assert 0 <= batch.where_BT.min() and batch.where_BT.max() < task.length
    if batch.mask_BN is not None:
        assert batch.mask_BN.shape == batch.tokens_BN.shape and batch.mask_BN.dtype == torch.bool
    assert batch.slices
    for values in batch.slices.values():
        assert values.shape == (B, T) and values.min() >= 0


def test_labels_equal_the_plain_solver(task, rows):
    for evaluated in task.evaluations().values():
        for tokens, targets, _ in rows(draw(evaluated, 1, size=200)):
            answers = evaluated.solve(tokens)
            assert len(answers) == len(tokens)
            if task.metric == "bits_per_character":  # the last character's successor isn't in the tokens
                del targets[len(tokens) - 1]
            assert targets == {i: answer for i, answer in enumerate(answers) if answer != IGNORE}


def test_scored_places_are_real_tokens(task, rows):
    batch = draw(task, 2, size=100)
    if batch.mask_BN is None:
        return
    for (_, targets, _), mask in zip(rows(batch), batch.mask_BN.tolist(), strict=True):
        assert mask == sorted(mask, reverse=True), "padding belongs on the right"
        assert all(mask[position] for position in targets)


def test_a_source_is_seen_and_holds_the_answer(task):
    """By the plain solver: with another token at the source, the answer is another."""
    batch = draw(task, 2, size=20)
    if batch.sources_BT is None:
        return
    assert batch.sources_BT.shape == batch.targets_BT.shape
    for b, tokens in enumerate(batch.tokens_BN.tolist()):
        for t in (batch.targets_BT[b] != IGNORE).nonzero().flatten().tolist():
            place = t if batch.where_BT is None else int(batch.where_BT[b, t])
            source = int(batch.sources_BT[b, t])
            assert source <= place if task.causal else batch.mask_BN is None or batch.mask_BN[b, source]
            answers = set()
            for other in range(task.vocabulary):
                try:
                    answers.add(task.solve([*tokens[:source], other, *tokens[source + 1 :]])[place])
                except IndexError:  # a bracket too many: no sequence of the task
                    continue
            assert answers - {int(batch.targets_BT[b, t]), IGNORE}


def test_a_batch_is_a_function_of_its_seed(task):
    assert same(draw(task, 3), draw(task, 3))
    assert not same(draw(task, 3), draw(task, 4))
    torch.manual_seed(0)
    first = draw(task, 3)
    torch.manual_seed(1)
    random.seed(1)
    assert same(first, draw(task, 3)), "the global random state must not matter"


def test_a_generator_goes_on(task):
    generator = torch.Generator().manual_seed(5)
    assert not same(task.batch(32, generator), task.batch(32, generator))


def test_training_and_evaluation_batches_differ(task):
    seen = {}
    for split in ("train", "validation", "test"):
        for step in range(20):
            tokens = draw(task, stream(0, split, step), split).tokens_BN
            assert seen.setdefault(tuple(tokens.flatten().tolist()), (split, step)) == (split, step)


def test_batches_lie_on_the_generators_device_not_on_the_default_one(task):
    generator = torch.Generator("cpu").manual_seed(6)
    with torch.device("meta"):
        batch = task.batch(4, generator)
    assert {value.device.type for value in tensors(batch).values()} == {"cpu"}


@pytest.mark.cuda
def test_batches_are_made_on_the_gpu_without_waiting_for_it(task):
    generator = torch.Generator("cuda").manual_seed(6)
    task.batch(4, generator)  # what is constant is copied now
    torch.cuda.set_sync_debug_mode("error")
    try:
        batch = task.batch(32, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert {value.device.type for value in tensors(batch).values()} == {"cuda"}


def test_evaluations(task):
    evaluations = task.evaluations()
    assert evaluations.pop("test") is task
    for name, longer in evaluations.items():
        assert name == "out"
        assert longer.length > task.length
        assert (longer.vocabulary, longer.classes, longer.causal, longer.metric) == (
            task.vocabulary,
            task.classes,
            task.causal,
            task.metric,
        )


def test_chance_is_what_blind_guessing_scores(task, accuracy):
    if task.metric == "bits_per_character":
        batch = draw(task, 8, "test", size=2000)
        characters = batch.targets_BT.numel() if batch.characters_BT is None else int(batch.characters_BT.sum())
        bits = batch.targets_BT.numel() * math.log2(task.classes)
        assert task.chance == pytest.approx(bits / characters, rel=0.01 if batch.characters_BT is not None else 1e-12)
        return
    share, tolerance = accuracy(task, lambda tokens, position, rng: rng.randrange(task.classes))
    assert share == pytest.approx(task.chance, abs=tolerance)


def test_the_heuristic_beats_chance_and_does_not_solve(task):
    words, score = task.heuristic
    assert words
    if task.metric == "bits_per_character":
        assert 0 < score < task.chance and task.solved_at is None
    else:
        assert task.chance < score < task.solved_at <= 1


def test_provenance_is_for_real_data(task):
    provenance = task.provenance()
    assert bool(provenance) == (task.metric == "bits_per_character")
    if provenance:
        assert set(provenance) == {"source", "path", "sha256", "characters"}
        assert not provenance["path"].startswith("/"), "a record must not depend on where the data lies"
