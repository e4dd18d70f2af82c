"""W&B mirrors the records, in files of its own and without a network; whatever becomes of it, the run goes on."""

import json
import math
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import wandb

from study.models.encoder import SequenceModel
from study.training import tracking
from study.training.module import Training
from study.training.runner import execute

WANDB = [sys.executable, "-m", "wandb"]
DECLARED = ["origin.experiment=heads", "origin.arm=a", "origin.task=b", "origin.role=verdict", "origin.claims=[C13,C24]"]


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch):
    monkeypatch.setattr(tracking, "_said", set())


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))


def file_of(config, name):
    (path,) = Path(config.runs, "wandb").glob(f"offline-run-*-{name}/run-{name}.wandb")
    return path


def inspect(path, *options):
    done = subprocess.run([*WANDB, "leet", "inspect", *options, "--json", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines(path):
    return [json.loads(line) for line in inspect(path).splitlines()]


@pytest.fixture(scope="module")
def finished(compose, tmp_path_factory):
    """One run, tracked as it is by default: (config, record, its file's lines, its summary)."""
    folder = tmp_path_factory.mktemp("tracked")
    config = compose(
        "task=reverse", "task.max_length=6", "tier=smoke", "model.width=16", "model.ffn_width=64", "train.steps=4",
        "train.batch=4", "train.evaluate_every=2", "evaluation.test_items=8", "evaluation.validation_items=8",
        f"runs={folder}", *DECLARED,
    )  # fmt: skip
    assert config.tracking.mode == "offline"
    record = execute(config).record
    path = file_of(config, record["name"])
    return config, record, path


def test_the_summary_is_the_record(finished):
    _, record, path = finished
    summary = json.loads(inspect(path, "--summary"))["summary"]
    mirrored = {key: value for key, value in record.items() if key not in ("config", "curve")}
    assert {key: summary.get(key) for key in mirrored} == mirrored  # the reader leaves out a key that is null
    updates = [line["summary"]["update"] for line in lines(path) if line["type"] == "summary"]
    (whole,) = [update for update in updates if "checksum" in update]
    assert whole == mirrored


def test_name_group_job_type_tags_and_config(finished):
    config, record, path = finished
    (run,) = [line["run"] for line in lines(path) if line["type"] == "run"]
    assert run["run_id"] == run["display_name"] == record["name"]
    assert (run["project"], run["run_group"], run["job_type"]) == ("attention-study", "heads", "verdict")
    assert run["tags"] == ["C13", "C24", "smoke"]
    logged = {key: value for key, value in run["config"]["update"].items() if key != "_wandb"}
    assert logged == record["config"]


def test_the_history_is_the_curve_and_the_maps_are_images(finished):
    _, record, path = finished
    history = [line["history"] for line in lines(path) if line["type"] == "history"]
    curve = {row["step"]: {k: v for k, v in row.items() if k != "step"} for row in record["curve"]}
    for item in history:
        logged = {k: v for k, v in item["item"].items() if not k.startswith(("_", "attention/"))}
        assert logged == curve.pop(item["step"]["num"])
    assert not curve
    images = sorted(path.parent.glob("files/media/images/attention/*.png"))
    assert [image.name.split("_4_")[0] for image in images] == ["layer_1", "layer_2"]  # 4: the last step


def test_it_ended_well(finished):
    *_, path = finished
    last = lines(path)[-1]
    assert (last["type"], last["exit"]["exit_code"]) == ("exit", 0)


def test_offline_files_can_be_uploaded_later(finished):
    *_, path = finished
    command = [*WANDB, "sync", "--dry-run", str(path.parent)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.parent.name in done.stdout + done.stderr


def test_all_runs_share_one_folder_each_with_a_readable_name_and_its_own_exit_state(tiny, monkeypatch):
    """Three runs in one process, the second of which raises."""
    configs = [tiny("tracking.mode=offline", f"seed={seed}", *DECLARED) for seed in range(3)]
    good = [execute(configs[0])]
    with monkeypatch.context() as broken:
        broken.setattr(SequenceModel, "forward", lambda *_, **__: 1 / 0)
        bad = execute(configs[1])
    good.append(execute(configs[2]))
    assert [outcome.state for outcome in good] == ["finished"] * 2 and bad.state == "failed"
    folder = Path(configs[0].runs, "wandb")
    assert len(list(folder.glob("offline-run-*"))) == 3
    for outcome, code in [(good[0], 0), (bad, 1), (good[1], 0)]:
        found = lines(file_of(configs[0], outcome.name))
        assert [line["exit"]["exit_code"] for line in found if line["type"] == "exit"] == [code]
        assert {line["run"]["run_id"] for line in found if line["type"] == "run"} == {outcome.name}
        summaries = [line["summary"]["update"] for line in found if line["type"] == "summary"]
        assert [s["checksum"] for s in summaries if "checksum" in s] == [outcome.record["checksum"]]
        looks = [line for line in found if line["type"] == "history" and "train_loss" in line["history"]["item"]]
        assert len(looks) == len(outcome.record["curve"])
    assert bad.record["error"] == "ZeroDivisionError: division by zero"


def test_an_interrupted_run_is_closed_as_one_that_did_not_end_well(tiny, monkeypatch):
    config = tiny("tracking.mode=offline")
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        def interrupt(*_):
            raise KeyboardInterrupt

        keyboard.setattr(Training, "validation_step", interrupt)
        execute(config)
    (path,) = Path(config.runs, "wandb").glob("offline-run-*/*.wandb")
    assert [line["exit"]["exit_code"] for line in lines(path) if line["type"] == "exit"] == [1]


def test_off_makes_no_files_and_does_not_import_wandb(tiny, tmp_path, monkeypatch, recwarn):
    """That nothing else imports it is in tests/test_walls.py."""
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it is an error now
    assert execute(tiny("tracking.mode=off")).state == "finished"
    assert not (tmp_path / "runs" / "wandb").exists()
    assert not [w for w in recwarn if "W&B" in str(w.message)]


# --- when it breaks -----------------------------------------------------------------------------------------------------


class Broken:
    """A W&B run whose methods work, but for one."""

    def __init__(self, method):
        self.method, self.calls = method, []
        self.summary = types.SimpleNamespace(update=lambda fields: self.call("summary"))

    def call(self, name):
        self.calls.append(name)
        if name == self.method:
            raise wandb.errors.CommError(f"{name} is broken\nand so on")

    def log(self, *_, **__):
        self.call("log")

    def finish(self, *_, **__):
        self.call("finish")


@pytest.mark.parametrize("method", ["init", "log", "summary", "finish"])
def test_when_the_tracker_fails_training_goes_on_and_says_so_once(tiny, monkeypatch, recwarn, method):
    broken = Broken(method)

    def init(**_):
        broken.call("init")
        return broken

    monkeypatch.setattr(wandb, "init", init)
    outcomes = [execute(tiny("tracking.mode=offline", f"seed={seed}")) for seed in range(2)]
    assert [outcome.state for outcome in outcomes] == ["finished"] * 2
    assert all(len(outcome.record["curve"]) == 2 for outcome in outcomes)
    said = [str(w.message) for w in recwarn if "W&B" in str(w.message)]
    assert said == [f"W&B failed ({method} is broken); training goes on, the record is kept"]
    assert broken.calls.count(method) == 2  # once a run: what is broken is not tried again and again


def test_when_the_server_cant_be_reached_it_logs_offline(tiny, monkeypatch, recwarn):
    real, modes = wandb.init, []

    def unreachable(**settings):
        modes.append(settings["mode"])
        if settings["mode"] == "online":
            raise wandb.errors.CommError("no route to host")
        return real(**settings)

    monkeypatch.setattr(wandb, "init", unreachable)
    monkeypatch.setattr(tracking, "check_key", lambda config: None)
    monkeypatch.setattr("study.training.runner.check_key", lambda config: None)
    config = tiny("tracking.mode=online")
    outcome = execute(config)
    assert outcome.state == "finished" and modes == ["online", "offline"]
    assert file_of(config, outcome.name).stat().st_size > 0
    said = [str(w.message) for w in recwarn if "W&B" in str(w.message)]
    assert said == ["W&B can't be reached (no route to host); logging offline, upload later with wandb sync"]


def test_online_without_a_key_is_refused_before_anything_is_trained(tiny, tmp_path):
    with pytest.raises(ValueError) as caught:
        execute(tiny("tracking.mode=online"))
    assert str(caught.value) == (
        "tracking.mode=online needs a W&B key: run wandb login, set WANDB_API_KEY, or use tracking.mode=offline"
    )
    assert not (tmp_path / "runs").exists()


KEY = "0123456789" * 4


@pytest.mark.parametrize(
    ("place", "key", "said"),
    [
        ("environment", KEY, ""),
        ("netrc", KEY, ""),
        ("environment", "short", "tracking.mode=online: "),
        ("netrc", "", "needs a W&B key"),
    ],
)
def test_a_key_is_found_where_wandb_finds_it_and_no_server_is_asked(monkeypatch, tmp_path, place, key, said):
    """In a process of its own, since W&B remembers a key that it has seen; without a network there."""
    code = """
import socket
def never(*_): raise AssertionError("network")
socket.getaddrinfo = socket.socket.connect_ex = never
from omegaconf import OmegaConf
from study.training.tracking import check_key
try:
    check_key(OmegaConf.create({"tracking": {"mode": "online"}}))
except ValueError as error:
    print(error)
"""
    if place == "environment":
        monkeypatch.setenv("WANDB_API_KEY", key)
    elif key:
        (tmp_path / "netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {key}\n")
        (tmp_path / "netrc").chmod(0o600)
    root = Path(tracking.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout and bool(said) == bool(done.stdout)
    assert len(done.stdout.splitlines()) <= 1


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_an_offline_run_connects_to_nothing_and_looks_up_no_name(tmp_path):
    """Seen from outside: W&B's own service is another program, which no fixture can hold back."""
    log = tmp_path / "calls"
    root = Path(tracking.__file__).parents[2]
    traced = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto,sendmmsg", "-o", str(log)]
    command = [sys.executable, "run.py", "tier=smoke", "train.steps=2", "model.width=16", "model.ffn_width=64",
               "task.length=8", "evaluation.test_items=8", f"runs={tmp_path / 'runs'}"]  # fmt: skip
    done = subprocess.run([*traced, *command], cwd=root, capture_output=True, text=True)
    if "Operation not permitted" in done.stderr:
        pytest.skip("strace is not permitted here")
    assert done.returncode == 0, done.stderr
    calls = log.read_text().splitlines()
    assert any("AF_UNIX" in call for call in calls), "W&B did not even start"
    outside = [call for call in calls if "AF_INET" in call and "127.0.0.1" not in call and "::1" not in call]
    assert not outside


def test_maps_are_drawn_dark_where_the_weight_is(monkeypatch):
    import numpy

    drawn = {}
    monkeypatch.setattr(wandb, "Image", lambda pixels: pixels)
    tracker = object.__new__(tracking.Tracker)
    tracker.run = types.SimpleNamespace(log=lambda pictures, step: drawn.update(pictures, step=step))
    weights_HNN = numpy.array([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.25, 0.75]]])
    tracker.log_maps([weights_HNN], 7)
    assert drawn["step"] == 7
    expected = [[0, 255, 255, 0], [128, 128, 192, 64]]  # two heads side by side
    assert numpy.abs(drawn["attention/layer_1"].astype(int) - expected).max() <= 1
    assert math.isclose(drawn["attention/layer_1"].shape[1], 2 * 2)
