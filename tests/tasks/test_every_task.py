"""What holds for every task, whatever its kind: found from conf/task, so that a new one is tested at once."""

import dataclasses
import doctest
import importlib
import math
import os
import random
import shutil
from pathlib import Path

import pytest
import torch

from study.seeding import stream

ROOT = Path(__file__).parents[2]
SPLITS = ("train", "validation", "test")


def draw(task, seed, split="train", size=32):
    return task.batch(size, torch.Generator().manual_seed(seed), split)


def tensors(batch):
    fields = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)} | batch.slices
    return {name: value for name, value in fields.items() if isinstance(value, torch.Tensor)}


def same(one, other):
    pairs = zip(tensors(one).values(), tensors(other).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_its_module_shows_a_sample(any_task, own_files, cache, tmp_path, monkeypatch):
    """That of the class, or of one that it is made from (with other digits, or another text)."""
    examples = []
    for kind in type(any_task).__mro__[:-2]:
        module = importlib.import_module(kind.__module__)
        examples += doctest.DocTestFinder(recurse=False).find(module)[0].examples
        if examples:
            break
    assert ".sample(" in examples[-1].source
    (tmp_path / "data").symlink_to(ROOT / os.environ.get("STUDY_DATA_ROOT", "data"))
    (tmp_path / "cache").symlink_to(cache)
    for path in map(Path, own_files.values()):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    failed = []
    test = doctest.DocTest(examples, vars(module).copy(), kind.__module__, None, None, None)
    ran = doctest.DocTestRunner(verbose=False).run(test, out=failed.append)
    if "FileNotFoundError" in "".join(failed):
        pytest.skip("no file of it here (STUDY_DATA_ROOT names the folder of real data)")
    assert ran.attempted == len(examples) and not failed, "".join(failed)


def test_a_batch_is_a_function_of_its_seed_and_a_generator_goes_on(any_task):
    for split in SPLITS:
        torch.manual_seed(0)
        first = draw(any_task, 3, split)
        torch.manual_seed(1)
        random.seed(1)
        assert same(first, draw(any_task, 3, split)), f"{split}: the global random state must not matter"
        assert not same(first, draw(any_task, 4, split)), split
    generator = torch.Generator().manual_seed(5)
    assert not same(any_task.batch(32, generator), any_task.batch(32, generator))


def test_no_batch_comes_twice_in_training_and_evaluation(any_task):
    seen = set()
    for split in SPLITS:
        for step in range(10):
            (inputs, *_) = draw(any_task, stream(0, split, step), split).inputs().values()
            seen.add(tuple(inputs.flatten().tolist()))
    assert len(seen) == 30


def test_batches_lie_on_the_generators_device_not_on_the_default_one(any_task):
    generator = torch.Generator("cpu").manual_seed(6)
    with torch.device("meta"):
        batches = [any_task.batch(4, generator), any_task.evaluation_batch(0, 4, generator, "test")]
    assert {value.device.type for batch in batches for value in tensors(batch).values()} == {"cpu"}


@pytest.mark.cuda
def test_batches_are_made_on_the_gpu_without_waiting_for_it(any_task):
    generator = torch.Generator("cuda").manual_seed(6)
    any_task.batch(4, generator)  # what is constant is copied now
    torch.cuda.set_sync_debug_mode("error")
    try:
        first, second = any_task.batch(32, generator), any_task.batch(32, generator)
        generator = torch.Generator("cuda").manual_seed(6)
        again = [any_task.batch(4, generator), any_task.batch(32, generator)][1]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert {value.device.type for value in tensors(first).values()} == {"cuda"}
    assert same(first, again) and not same(first, second)


def test_an_evaluation_is_large_enough(any_task):
    """A corpus is gone through once and has what it has; else there are as many scored places as were asked for."""
    count = any_task.evaluation_batches(500, 100, "test")
    batches = [any_task.evaluation_batch(i, 100, torch.Generator().manual_seed(i), "test") for i in range(count)]
    scored = sum(int((batch.targets_BT >= 0).sum()) for batch in batches)
    assert count == 1 or scored >= 450


def test_longer_sequences_are_of_the_same_task_and_the_heuristic_beats_chance_but_does_not_solve(any_task):
    evaluations = any_task.evaluations()
    assert evaluations.pop("test") is any_task
    for name, longer in evaluations.items():
        assert name == "out" and longer.length > any_task.length
        for kept in ("kind", "vocabulary", "classes", "causal", "metric"):
            assert getattr(longer, kept) == getattr(any_task, kept)
    words, score = any_task.heuristic
    assert words
    if any_task.metric == "bits_per_character":
        assert 0 < score < any_task.chance and any_task.solved_at is None
    else:
        assert any_task.chance < score < (any_task.solved_at or 1) <= 1


def test_chance_is_what_blind_guessing_scores(any_task):
    targets = [target for target in draw(any_task, 8, "test", size=2000).targets_BT.flatten().tolist() if target >= 0]
    if any_task.metric == "bits_per_character":
        characters = draw(any_task, 8, "test", size=2000).characters_BT
        bits = len(targets) * math.log2(any_task.classes)
        assert any_task.chance == pytest.approx(
            bits / (len(targets) if characters is None else int(characters.sum())), rel=0.01
        )
        return
    rng = random.Random(7)
    share = sum(rng.randrange(any_task.classes) == target for target in targets) / len(targets)
    assert share == pytest.approx(any_task.chance, abs=4 * (any_task.chance / len(targets)) ** 0.5)


def test_provenance_does_not_hang_on_where_data_lies(any_task, cache, own_files):
    text = str(any_task.provenance())
    assert str(ROOT) not in text and cache not in text and not any(path in text for path in own_files.values())
    if any_task.metric == "bits_per_character":
        assert set(any_task.provenance()) == {"source", "path", "sha256", "characters"}
