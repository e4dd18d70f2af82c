"""A run from its config to its record, and everything that may go wrong on the way."""

import errno
import fcntl
import json
import os
import pickle
import threading
import time
import types
import warnings

import pytest
import torch
import yaml

from study import records, schema
from study.kinds.tokens import Tokens
from study.models.encoder import SequenceModel
from study.positions.learned import Learned
from study.seeding import stream
from study.training import checkpoints, runner, train, weights
from study.training.build import build_model, build_task
from study.training.module import Training
from study.training.runner import execute

pytestmark = pytest.mark.slow

FIELDS = set(
    """
    schema id name status error plan claims kind command config metrics slices notes curve provenance checksum
""".split()
)
FINISHED_FIELDS = FIELDS | set(
    """
    steps steps_to_90 steps_to_solve tested_at parameters ffn_width multiply_adds_per_token multiply_adds_per_answer
    peak_memory_bytes tokens_seen seconds train_seconds reach metric solved_at chance heuristic weights_sha256 resumed
    diagnostics step_seconds
""".split()
)
PLAN = {"experiment", "tier", "arm", "task", "role", "rate", "seed", "digest"}
PROVENANCE = set(
    """
    revision clean versions device device_name threads dtype attention_backend started system data
""".split()
)


def folder_of(config):
    return runner.Path(config.runs) / schema.name(config)


def kept(config):
    """The record on the disk."""
    return records.read(folder_of(config) / records.NAME)


def forbid_training(monkeypatch):
    def never(*_):
        raise AssertionError("this run was to be left alone")

    monkeypatch.setattr(runner, "train", never)


def break_training(monkeypatch, error):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(SequenceModel, "forward", broken)


# --- what a record holds -----------------------------------------------------------------------------------------------


def test_a_record_says_everything_about_its_run(tiny, tmp_path):
    config = tiny("mixer=convolution", "model.layers=3", "task.length=10", "seed=5", "train.rate=0.002")
    outcome = execute(config, command="python run.py mixer=convolution")
    record = kept(config)
    assert outcome == runner.Outcome(record["name"], "finished", True, record, None)
    assert record.keys() == FINISHED_FIELDS
    assert record["plan"].keys() == PLAN and record["provenance"].keys() == PROVENANCE
    assert record["plan"] == {
        "experiment": None,
        "tier": "core",
        "arm": None,
        "task": None,
        "role": "single",
        "rate": 0.002,
        "seed": 5,
        "digest": None,
    }
    assert (record["status"], record["error"]) == ("finished", None)
    assert (record["id"], record["name"]) == (schema.identity(config), schema.name(config))
    assert record["command"] == "python run.py mixer=convolution"
    whole = yaml.safe_load((folder_of(config) / "config.yaml").read_text())
    assert str(tmp_path) in json.dumps(whole) and str(tmp_path) not in json.dumps(record)  # no places of this machine
    assert record["config"] == {key: value for key, value in whole.items() if key not in ("runs", "data")}

    task = build_task(config)
    model = build_model(config, task)
    parameters = sum(p.numel() for p in model.parameters())
    assert sum(record["parameters"].values()) == parameters
    block = 2 * 16 * 5 * 16 + 2 * 16 * record["ffn_width"]
    assert record["parameters"]["other"] == 3 * (block + 2 * 16 + record["ffn_width"] + 16 + 4 * 16) + 2 * 16
    assert record["multiply_adds_per_token"] == 3 * block
    assert record["multiply_adds_per_answer"] == 16 * 8
    assert record["reach"] == 3 * (5 - 1)
    assert record["steps"] == 4 and record["tokens_seen"] == 4 * 4 * 10
    assert (record["metric"], record["solved_at"], record["chance"]) == ("accuracy", 0.99, 1 / 8)
    assert record["heuristic"] == {"name": task.heuristic[0], "score": task.heuristic[1]}
    assert record["peak_memory_bytes"] > 4 * 4 * parameters  # weights, gradients, two moments, float32
    assert 0 < record["train_seconds"] <= record["seconds"] < 60

    assert record["metrics"].keys() == {"validation", "test"}
    assert record["metrics"]["test"]["items"] >= config.evaluation.test_items
    distances = record["slices"]["test"]["distance"]
    assert sum(found["items"] for found in distances.values()) == record["metrics"]["test"]["items"]
    assert set(map(int, distances)) <= set(range(1, 10))
    assert [row["step"] for row in record["curve"]] == [2, 4]
    assert record["metrics"]["validation"]["accuracy"] == record["curve"][-1]["validation_accuracy"]

    assert record["diagnostics"].keys() == {"start", "end"}
    for found in record["diagnostics"].values():
        assert found["gradient_ratio"] > 0 and 1 <= found["effective_rank"] <= 16

    assert record["provenance"]["versions"].keys() == {"python", "torch", "pytorch-lightning", "hydra-core", "wandb"}
    assert (record["provenance"]["device"], record["provenance"]["dtype"]) == ("cpu", "float32")
    assert record["provenance"]["threads"] == 1


def test_the_training_split_is_scored_when_asked_for(tiny):
    """Without dropout, as the test split is, and by the trained model: not the mean loss of the steps on the way."""
    record = execute(tiny("evaluation.train=true", "model.dropout=0.5", task="pydoc")).record
    assert record["metrics"].keys() == {"validation", "test", "train"}
    assert record["metrics"]["train"]["items"] == record["metrics"]["test"]["items"]
    again = execute(tiny("model.dropout=0.5", task="pydoc")).record
    assert again["metrics"].keys() == {"validation", "test"}
    assert again["metrics"]["test"] == record["metrics"]["test"] and again["weights_sha256"] == record["weights_sha256"]


def test_its_folder_holds_config_history_and_record_and_no_checkpoint(tiny):
    config = tiny("trainer.checkpoint_every=1")
    record = execute(config).record
    names = {path.name for path in folder_of(config).iterdir()}
    assert names == {"config.yaml", "history.jsonl", "record.json", "lock"}
    history = [json.loads(line) for line in (folder_of(config) / "history.jsonl").read_text().splitlines()]
    assert history == record["curve"]


def test_weights_are_kept_when_asked_for_and_are_those_of_the_record(tiny):
    config = tiny("trainer.keep_weights=true")
    record = execute(config).record
    model = build_model(config, build_task(config))
    model.load_state_dict(torch.load(folder_of(config) / "weights.pt"))
    assert weights.digest(model.state_dict()) == record["weights_sha256"]


@pytest.mark.parametrize("damage", ["truncated", "another run's", "a pickle"])
def test_weights_that_are_not_those_of_the_record_are_made_again(tiny, tmp_path, damage):
    config = tiny("trainer.keep_weights=true")
    record = execute(config).record
    path = folder_of(config) / "weights.pt"
    whole = path.read_bytes()
    assert not execute(config).fresh
    if damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "a pickle":
        path.write_bytes(planted(tmp_path / "ran"))
    else:
        other = tiny("trainer.keep_weights=true", "seed=1")
        execute(other)
        path.write_bytes((folder_of(other) / "weights.pt").read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = execute(config)
    assert again.fresh and again.record["weights_sha256"] == record["weights_sha256"]
    assert not (tmp_path / "ran").exists()
    assert weights.digest(torch.load(path)) == record["weights_sha256"]


def planted(mark):
    """A pickle that makes a file when it is loaded."""

    class Planted:
        def __reduce__(self):
            return os.mkdir, (str(mark),)

    return pickle.dumps(Planted())


def test_the_same_config_gives_the_same_numbers_and_another_seed_others(tiny, tmp_path):
    first, again, other = (
        execute(tiny(f"runs={tmp_path / name}", f"seed={seed}")).record for name, seed in [("a", 3), ("b", 3), ("c", 4)]
    )
    for key in ("metrics", "slices", "curve", "weights_sha256", "id"):
        assert first[key] == again[key], key
        assert first[key] != other[key], key


def test_a_tuning_run_is_evaluated_on_the_validation_split_alone(tiny):
    record = execute(tiny("origin.role=tuning", "origin.experiment=heads", "origin.arm=a", "origin.task=b")).record
    assert record["metrics"].keys() == {"validation"} and record["slices"] == {}


def test_no_step_evaluates_the_start(tiny):
    config = tiny("train.steps=0")
    record = execute(config).record
    assert (record["status"], record["steps"], [row["step"] for row in record["curve"]]) == ("finished", 0, [0])
    assert record["curve"][0]["train_loss"] is None and record["metrics"]["test"]["items"] >= 8
    torch.manual_seed(stream(config.seed, "init"))
    start = build_model(config, build_task(config))
    assert record["weights_sha256"] == weights.digest(start.state_dict())


def test_longer_sequences_are_scored_apart(tiny):
    record = execute(tiny(task="copy")).record
    assert record["metrics"].keys() == {"validation", "test", "out"}
    trained, longer = (set(map(int, record["slices"][split]["length"])) for split in ("test", "out"))
    assert max(trained) < min(longer)


def test_positions_beyond_a_learned_table_are_a_note_and_the_test_is_scored_all_the_same(tiny):
    record = execute(tiny("position=learned", task="copy")).record
    assert record["status"] == "finished"
    assert record["metrics"].keys() == {"validation", "test"} == record["slices"].keys() | {"validation"}
    config = tiny("position=learned", task="copy")
    table = Learned(16, length=build_task(config).length)
    with pytest.raises(ValueError) as beyond:
        table(torch.zeros(1, build_task(config).evaluations()["out"].length, 16))
    assert record["notes"] == {"out": str(beyond.value)}


def test_a_cost_is_measured_and_nothing_is_trained(tiny, monkeypatch):
    forbid_training(monkeypatch)
    config = tiny("measure=cost", "cost.lengths=[8,16]", "cost.tokens=32", "cost.repeats=1")
    record = execute(config).record
    assert record["status"] == "finished" and record["metrics"] == {} and record["plan"]["rate"] is None
    measured = record["slices"]["cost"]["length"]
    assert measured.keys() == {"8", "16"}
    assert all(found["seconds"] > 0 and found["bytes"] > 0 and found["multiply_adds"] > 0 for found in measured.values())


def test_a_cost_has_no_weights_to_keep_and_is_done(tiny):
    config = tiny("measure=cost", "cost.positions=[4]", "cost.repeats=1", "mixer=gru", "trainer.keep_weights=true")
    assert execute(config).fresh and not execute(config).fresh


@pytest.mark.parametrize("edge", ["seed=9007199254740992", "train.rate=1e150"])
def test_whatever_a_config_may_say_a_record_may_hold(tiny, edge):
    config = tiny(edge)
    schema.check(config)
    assert execute(config).record is not None


def test_a_cost_along_the_width_and_of_decoding(tiny):
    config = tiny("measure=cost", "cost.lengths=[8]", "cost.widths=[8,16]", "cost.positions=[4]", "cost.repeats=1", "mixer=gru")
    slices = execute(config).record["slices"]
    work = {width: found["counted_multiply_adds"] for width, found in slices["cost"]["width"].items()}
    assert work == {"8": 6 * 8 * 8**2, "16": 6 * 8 * 16**2}
    assert slices["decoding"]["position"]["4"].keys() == {"seconds", "bytes"}
    alone = execute(tiny("measure=cost", "cost.positions=[4]", "cost.repeats=1", "mixer=gru")).record["slices"]
    assert alone.keys() == {"decoding"}


@pytest.mark.parametrize(("threads", "read"), [(1, "process_time"), (2, "perf_counter")])
def test_the_clock_leaves_evaluations_out_and_with_one_thread_what_others_do(monkeypatch, threads, read):
    now = [0.0]
    monkeypatch.setattr(train.time, read, lambda: now[0])
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    clock, trainer, module = train.Clock(), types.SimpleNamespace(global_step=2), torch.nn.Module()
    module.device = torch.device("cpu")
    assert clock.step_seconds is None

    def after(seconds, hook):
        now[0] += seconds
        hook(trainer, module)

    after(5, clock.on_train_start)
    after(3, clock.on_validation_start)
    after(100, clock.on_validation_end)
    trainer.global_step = 6
    after(1, clock.on_train_end)
    assert clock.step_seconds == (3 + 1) / 4


# --- launching again ----------------------------------------------------------------------------------------------------


def test_a_finished_run_is_left_alone(tiny, monkeypatch):
    config = tiny()
    first = execute(config)
    before = {path.name: path.stat().st_mtime_ns for path in folder_of(config).iterdir() if path.name != "lock"}
    forbid_training(monkeypatch)
    for again in (config, tiny("retry_failed=true")):
        outcome = execute(again)
        assert (outcome.state, outcome.fresh, outcome.record) == ("finished", False, first.record)
    assert before == {path.name: path.stat().st_mtime_ns for path in folder_of(config).iterdir() if path.name != "lock"}


def test_a_failed_run_is_tried_again_only_when_asked(tiny, monkeypatch):
    config = tiny()
    with monkeypatch.context() as broken:
        break_training(broken, RuntimeError("a bad day"))
        assert execute(config).state == "failed"
    again = execute(config)
    assert (again.state, again.fresh) == ("failed", False)
    retried = execute(tiny("retry_failed=true"))
    assert (retried.state, retried.fresh) == ("finished", True)
    assert kept(config)["status"] == "finished"
    assert not (folder_of(config) / "traceback.txt").exists()


def test_a_finished_run_is_finished_where_nothing_can_be_written(tiny, monkeypatch):
    """A folder in the lock's place, which fails as a read-only disk does, also for root."""
    config = tiny()
    first = execute(config)
    (folder_of(config) / "lock").unlink()
    (folder_of(config) / "lock").mkdir()
    forbid_training(monkeypatch)
    outcome = execute(config)
    assert (outcome.state, outcome.fresh, outcome.record) == ("finished", False, first.record)
    (folder_of(config) / records.NAME).unlink()
    assert execute(config).record is None


def test_a_run_whose_record_would_be_invalid_is_recorded_as_failed(tiny, monkeypatch):
    real = Tokens.work
    monkeypatch.setattr(Tokens, "work", lambda *arguments: real(*arguments) | {"reach": "far"})
    outcome = execute(tiny())
    assert (outcome.state, outcome.error) == ("failed", "reach: Input should be a valid integer, and is 'far'")
    assert not execute(tiny()).fresh


def test_what_a_killed_run_left_half_written_is_swept(tiny):
    config = tiny()
    folder = folder_of(config)
    (folder / ".vocabulary.123.tmp").mkdir(parents=True)
    (folder / ".last.ckpt.123.tmp").write_text("half")
    execute(config)
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "history.jsonl", "record.json", "lock"}


@pytest.mark.parametrize("damage", ["truncated", "edited"])
def test_an_invalid_record_is_set_aside_and_the_run_made_again(tiny, damage):
    config = tiny()
    whole = execute(config).record
    path = folder_of(config) / records.NAME
    text = path.read_text()
    path.write_text(text[:100] if damage == "truncated" else text.replace('"steps":4', '"steps":3'))
    with pytest.warns(UserWarning, match=f"{path}.*set aside as record.json.unreadable"):
        outcome = execute(config)
    assert outcome.fresh and kept(config)["weights_sha256"] == whole["weights_sha256"]
    assert (folder_of(config) / "record.json.unreadable").exists()
    assert list(records.load_runs(runner.Path(config.runs))) == [outcome.record]


def test_a_run_that_another_process_has_is_left_to_it_or_waited_for(tiny):
    config = tiny()
    folder_of(config).mkdir(parents=True)
    with (folder_of(config) / "lock").open("w") as held:  # as another process would
        fcntl.flock(held, fcntl.LOCK_EX)
        outcome = execute(config, wait=False)
        assert (outcome.state, outcome.fresh, outcome.record) == ("elsewhere", False, None)
        assert not (folder_of(config) / records.NAME).exists()
        threading.Timer(0.5, fcntl.flock, (held, fcntl.LOCK_UN)).start()
        started = time.monotonic()
        assert execute(config, wait=True).state == "finished"
        assert time.monotonic() - started >= 0.5


# --- what goes wrong -----------------------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_is_recorded_as_diverged(tiny, monkeypatch):
    monkeypatch.setattr(Training, "loss", lambda self, batch: self.model(batch.tokens_BN).sum() * float("nan"))
    config = tiny()
    outcome = execute(config)
    record = kept(config)
    assert (outcome.state, record["status"]) == ("diverged", "diverged")
    assert record["error"] == "study.training.module.Diverged: the loss was no finite number at step 2"
    assert record["metrics"] == {} and record.keys() == FIELDS
    assert "NaN" not in (folder_of(config) / records.NAME).read_text()
    assert execute(config).fresh is False  # never tried again in silence


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("shapes do not fit\nmore about it"), "RuntimeError: shapes do not fit"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"), "can't allocate"),
        (torch.OutOfMemoryError("CUDA out of memory"), "torch.OutOfMemoryError: CUDA out of memory"),
        (FileNotFoundError(errno.ENOENT, "gone", "text.txt"), "FileNotFoundError: [Errno 2] gone: 'text.txt'"),
    ],
    ids=["exception", "memory", "memory of torch", "memory of CUDA", "file"],
)
def test_an_exception_is_recorded_with_its_line_and_its_traceback(tiny, monkeypatch, error, line):
    break_training(monkeypatch, error)
    config = tiny()
    outcome = execute(config)
    record = kept(config)
    assert (outcome.state, record["status"]) == ("failed", "failed")
    assert line in record["error"] and "\n" not in record["error"]
    assert record["metrics"] == {} and record.keys() == FIELDS
    assert record["config"]["seed"] == config.seed and record["provenance"].keys() == PROVENANCE
    trace = (folder_of(config) / "traceback.txt").read_text()
    assert trace.startswith("Traceback") and record["error"] in trace and "forward" not in record["error"]
    assert record["error"] in outcome.line()


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["record", "checkpoint", "history"])
def test_a_full_disk_records_nothing_and_a_later_launch_goes_on(tiny, monkeypatch, where):
    config = tiny("trainer.checkpoint_every=2", "train.steps=6")
    with monkeypatch.context() as disk:
        if where == "record":
            disk.setattr(records, "write", full)
        elif where == "checkpoint":
            disk.setattr(checkpoints.Checkpoint, "on_train_batch_end", full)
        else:
            disk.setattr(train, "json", types.SimpleNamespace(dumps=full))
        outcome = execute(config)
    assert (outcome.state, outcome.record) == ("failed", None)
    assert "No space left on device: nothing recorded; fix that and launch again to go on" in outcome.line()
    assert not (folder_of(config) / records.NAME).exists()
    again = execute(config)
    assert (again.state, again.fresh) == ("finished", True)
    assert again.record["resumed"] is (where == "record")  # else the disk was full before the first checkpoint was whole


def test_a_folder_that_cant_be_made_is_said_and_not_raised(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    outcome = execute(tiny(f"runs={tmp_path / 'file'}"))
    assert (outcome.state, outcome.record) == ("failed", None)
    assert str(tmp_path / "file") in outcome.error


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_gpu_that_is_not_there_is_said_before_anything_is_recorded(tiny, tmp_path):
    with pytest.raises(ValueError, match="trainer=gpu needs a CUDA GPU.*use trainer=cpu"):
        execute(tiny("trainer=gpu"))
    assert not (tmp_path / "runs").exists()
