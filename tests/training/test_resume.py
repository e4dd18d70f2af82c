"""A run that was stopped, however and wherever, and started again ends bit for bit like one that never was."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from study import records, schema
from study.models.encoder import SequenceModel
from study.training import checkpoints, provenance
from study.training.module import Training
from study.training.runner import execute
from tests.training.test_runner import planted

pytestmark = pytest.mark.slow

SAME = ("metrics", "slices", "curve", "steps", "steps_to_90", "steps_to_solve", "weights_sha256", "tokens_seen")


def assert_same(record, reference):
    for key in SAME:
        assert record[key] == reference[key], key


@pytest.fixture
def reference(tiny, tmp_path):
    """reference(overrides): the record of the run that was never stopped."""
    return lambda *overrides: execute(tiny(*overrides, f"runs={tmp_path / 'reference'}")).record


def stop_at(monkeypatch, where, count):
    """A Ctrl-C in the ``count``-th (from 0) call of the module's method ``where``."""
    real, calls = getattr(Training, where), []

    def stopping(self, *arguments):
        calls.append(None)
        if len(calls) == count + 1:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Training, where, stopping)


STEPS = 7


def test_stopped_at_any_step(tiny, reference, monkeypatch, tmp_path):
    """Just before, at and after a checkpoint, an evaluation, and both in one; dropout draws are the same too."""
    overrides = [f"train.steps={STEPS}", "train.evaluate_every=2", "trainer.checkpoint_every=3", "model.dropout=0.2"]
    overrides += ["train.rate=0.01"]
    expected = reference(*overrides)
    assert expected["resumed"] is False
    for step in range(STEPS):
        config = tiny(*overrides, f"runs={tmp_path / str(step)}")
        with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
            stop_at(keyboard, "training_step", step)
            execute(config)
        assert not (Path(config.runs) / schema.name(config) / records.NAME).exists()
        outcome = execute(config)
        assert outcome.fresh and outcome.record["resumed"] is (step >= 3)
        assert_same(outcome.record, expected)


def test_a_run_of_a_share_of_the_steps_is_gone_on_from(tiny, reference):
    """Bit for bit as if it had never ended; without its checkpoint, from the start."""
    overrides = ["train.steps=9", "train.evaluate_every=2", "model.dropout=0.2", "train.rate=0.01"]
    expected = reference(*overrides)
    begun = execute(tiny(*overrides, "train.until=0.333", "origin.role=tuning"))
    folder = Path(tiny().runs) / begun.name
    assert begun.record["steps"] == 4 and (folder / checkpoints.NAME).exists(), "the first evaluation after 3 steps"
    rest = execute(tiny(*overrides, f"trainer.goes_on_from={begun.name}")).record
    assert rest["resumed"] is True and not (folder / checkpoints.NAME).exists()
    assert rest["id"] == expected["id"] and rest["curve"][:2] == begun.record["curve"]
    assert_same(rest, expected)


def test_the_best_weights_are_kept_over_an_interrupt(tiny, reference, monkeypatch):
    overrides = ["train.steps=8", "train.evaluate_every=2", "trainer.checkpoint_every=2", "train.rate=0.3"]
    overrides += ["evaluation.weights=best", "trainer.keep_weights=true"]
    expected = reference(*overrides)
    best = max(expected["curve"], key=lambda row: row["validation_accuracy"])
    assert (expected["tested_at"], expected["metrics"]["validation"]["accuracy"]) == (best["step"], best["validation_accuracy"])
    assert best["step"] < 8, "a rate so high that the end is not the best"
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        stop_at(keyboard, "training_step", 6)
        execute(tiny(*overrides))
    assert_same(execute(tiny(*overrides)).record, expected)
    last = reference(*[o for o in overrides if o != "evaluation.weights=best"])
    assert last["curve"] == expected["curve"] and last["weights_sha256"] != expected["weights_sha256"]
    assert last["tested_at"] == 8


def test_draws_of_a_readout_go_on_where_they_stopped(tiny, reference, monkeypatch):
    overrides = ["readout=sampled", "train.steps=6", "trainer.checkpoint_every=2", "train.rate=0.01"]
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        stop_at(keyboard, "training_step", 3)
        execute(tiny(*overrides))
    record = execute(tiny(*overrides)).record
    assert record["resumed"] is True
    assert_same(record, reference(*overrides))


@pytest.mark.parametrize(("where", "count"), [("validation_step", 0), ("validation_step", 3), ("test_step", 1)])
def test_stopped_while_it_is_scored(tiny, reference, monkeypatch, where, count):
    overrides = ["train.steps=6", "trainer.checkpoint_every=2", "evaluation.validation_items=16", "evaluation.test_items=16"]
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        stop_at(keyboard, where, count)
        execute(tiny(*overrides))
    assert_same(execute(tiny(*overrides)).record, reference(*overrides))


def test_stopped_again_and_again(tiny, reference, monkeypatch):
    overrides = ["train.steps=12", "trainer.checkpoint_every=2", "model.dropout=0.1", "mixer=lstm"]
    for count in (5, 3, 2):  # counted from each start
        with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
            stop_at(keyboard, "training_step", count)
            execute(tiny(*overrides))
    record = execute(tiny(*overrides)).record
    assert record["resumed"] is True
    assert_same(record, reference(*overrides))


def test_the_stop_of_a_solved_run_is_kept(tiny, reference, monkeypatch):
    """What was reached before the interrupt (steps to solve) is not reached a second time."""
    overrides = """
        train.steps=80 train.batch=32 train.evaluate_every=20 trainer.checkpoint_every=10 task=ngram task.length=8
        task.symbols=2 task.order=1 task.classes=2 train.rate=0.02 evaluation.validation_items=64 train.stop_when_solved=false
    """.split()
    expected = reference(*overrides)
    solved = expected["steps_to_solve"]
    assert solved is not None and solved < 60
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        stop_at(keyboard, "training_step", solved + 15)
        execute(tiny(*overrides))
    assert_same(execute(tiny(*overrides)).record, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*")
def test_killed_at_random_moments(tiny, reference):
    """SIGKILL: nothing in the process has a say in how it ends."""
    overrides = ["train.steps=150", "train.evaluate_every=7", "trainer.checkpoint_every=5", "model.dropout=0.1"]
    expected = reference(*overrides)
    config = tiny(*overrides)
    folder = Path(config.runs) / schema.name(config)
    chance, fork, kills = random.Random(1), multiprocessing.get_context("fork"), 0
    for _ in range(4):
        before = mark(folder)
        process = fork.Process(target=execute, args=(config,))
        process.start()
        while process.is_alive() and mark(folder) == before:  # one checkpoint further, or a slow machine never ends
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.03))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert kills == 4 or (kills and (folder / records.NAME).exists())  # a fast machine may be done before
    record = execute(config).record
    assert record["resumed"] is True
    assert_same(record, expected)


def mark(folder):
    try:
        return (folder / checkpoints.NAME).stat().st_mtime_ns
    except OSError:
        return None


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_broken_checkpoint_is_told_and_the_run_starts_afresh(tiny, reference, monkeypatch, size):
    overrides = ["train.steps=6", "trainer.checkpoint_every=2"]
    config = tiny(*overrides)
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        stop_at(keyboard, "training_step", 5)
        execute(config)
    checkpoint = Path(config.runs) / schema.name(config) / checkpoints.NAME
    with checkpoint.open("r+b") as file:
        assert checkpoint.stat().st_size > 5000
        file.truncate(size)
    with pytest.warns(UserWarning, match=f"{checkpoint} can't be read .*: starting afresh"):
        outcome = execute(config)
    assert (outcome.state, outcome.record["resumed"]) == ("finished", False)
    assert_same(outcome.record, reference(*overrides))


def interrupted(tiny, monkeypatch, *overrides, task="recall"):
    """(config, checkpoint) of a run that was stopped in its sixth step."""
    config = tiny("train.steps=7", "trainer.checkpoint_every=2", *overrides, task=task)
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        stop_at(keyboard, "training_step", 5)
        execute(config)
    return config, Path(config.runs) / schema.name(config) / checkpoints.NAME


def test_a_checkpoint_that_is_a_program_is_not_carried_out(tiny, monkeypatch, tmp_path):
    config, checkpoint = interrupted(tiny, monkeypatch)
    checkpoint.write_bytes(planted(tmp_path / "ran"))
    with pytest.warns(UserWarning, match="can't be read .*: starting afresh"):
        assert execute(config).record["resumed"] is False
    found = torch.load(interrupted(tiny, monkeypatch, "seed=1")[1], weights_only=True)
    assert found["global_step"] == 4  # a true one needs no such program
    assert not (tmp_path / "ran").exists()


def change_code(monkeypatch):
    monkeypatch.setattr(provenance, "code", lambda: "other")


def change_model(monkeypatch):
    real = SequenceModel.__init__

    def wider(self, *arguments, **keywords):
        real(self, *arguments, **keywords)
        self.further = torch.nn.Linear(2, 2)

    monkeypatch.setattr(SequenceModel, "__init__", wider)


@pytest.mark.parametrize(
    ("change", "said"), [(change_code, "was made with other code"), (change_model, "does not fit the model")]
)
def test_a_checkpoint_of_something_else_is_told_and_the_run_starts_afresh(tiny, monkeypatch, change, said):
    config, checkpoint = interrupted(tiny, monkeypatch)
    change(monkeypatch)
    with pytest.warns(UserWarning, match=f"{checkpoint} {said}: starting afresh"):
        outcome = execute(config)
    assert (outcome.state, outcome.record["resumed"]) == ("finished", False)


def test_the_code_that_is_hashed_is_all_of_the_study(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    (tmp_path / "study" / "tasks").mkdir(parents=True)
    file = tmp_path / "study" / "tasks" / "task.py"
    hashes = []
    for text in ("a = 1", "a = 2", "a = 1"):
        file.write_text(text)
        hashes.append(provenance.code.__wrapped__())
    assert hashes[0] != hashes[1] and hashes[0] == hashes[2]


def test_a_checkpoint_appears_whole_or_not_at_all(tiny, reference, monkeypatch):
    """The one before stays until the next is written."""
    overrides = ["train.steps=6", "trainer.checkpoint_every=2"]
    config = tiny(*overrides)
    real, writes = os.replace, []

    def stop_before_the_second(source, target):
        if Path(target).name == checkpoints.NAME:
            writes.append(None)
            if len(writes) == 2:
                raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        keyboard.setattr(os, "replace", stop_before_the_second)
        execute(config)
    record = execute(config).record
    assert record["resumed"] is True
    assert_same(record, reference(*overrides))
