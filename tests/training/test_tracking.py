"""W&B mirrors the records, in files of its own and without a network; whatever becomes of it, the run goes on."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from PIL import Image

from study.models.encoder import SequenceModel
from study.training import tracking, wandb_process
from study.training.module import Training
from study.training.runner import execute
from tests.processes import python
from tests.wandb_server import KEY

WANDB = [sys.executable, "-m", "wandb"]
DECLARED = ["origin.experiment=heads", "origin.arm=a", "origin.task=b", "origin.role=verdict", "origin.claims=[C13,C24]"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fresh_wandb")]


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_DIR", raising=False)
    monkeypatch.setenv("WANDB_MODE", "online")  # narrows nothing; set, so that it is set back
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))


def file_of(config, name, kind="offline-run"):
    (path,) = Path(config.runs, "wandb").glob(f"{kind}-*-{name}/run-{name}.wandb")
    return path


def inspect(path, *options):
    done = python("-m", "wandb", "leet", "inspect", *options, "--json", str(path), cwd=path.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines(path):
    return [json.loads(line) for line in inspect(path).splitlines()]


def check_whole(path, record):
    """The file holds all of the run: its config, its curve, its record and its end."""
    found = lines(path)
    (run,) = [line["run"] for line in found if line["type"] == "run"]
    assert run["config"]["update"]["settings"] == record["config"]
    rows = [line["history"]["item"] for line in found if line["type"] == "history"]
    assert [curve_row(row) for row in rows] == record["curve"]
    updates = [line["summary"]["update"] for line in found if line["type"] == "summary"]
    mirrored = {key: value for key, value in record.items() if key not in ("config", "curve")}
    assert [update for update in updates if "checksum" in update] == [mirrored]
    assert found[-1]["exit"]["exit_code"] == int(record["status"] != "finished")


def curve_row(logged):
    """A row of the history as the record's curve has it."""
    scores = {key: value for key, value in logged.items() if key != "step" and not key.startswith(("_", "attention/"))}
    return {"step": logged["_step"], **scores}


def said(capfd):
    """What the error stream says of W&B."""
    return [line for line in capfd.readouterr().err.splitlines() if "W&B" in line]


@pytest.fixture(scope="module")
def finished(compose, tmp_path_factory):
    """One run, tracked as it is by default: (config, record, its file's lines, its summary)."""
    folder = tmp_path_factory.mktemp("tracked")
    config = compose(
        "task=reverse",
        "task.max_length=6",
        "tier=smoke",
        "model.width=16",
        "model.ffn_width=64",
        "train.steps=4",
        "train.batch=4",
        "train.evaluate_every=2",
        "evaluation.test_items=8",
        "evaluation.validation_items=8",
        f"runs={folder}",
        *DECLARED,
    )
    assert config.tracking.mode == "offline"
    record = execute(config).record
    tracking._idle.pop().end()
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
    logged = run["config"]["update"]
    assert logged["settings"] == record["config"]
    declared = {"experiment": "heads", "arm": "a", "task": "b", "role": "verdict", "tier": "smoke", "rate": 0.003, "seed": 0}
    chosen = {"mixer": "attention", "position": "sinusoidal", "readout": "own", "architecture": "encoder"}
    assert {key: value for key, value in logged.items() if key not in ("_wandb", "settings")} == declared | chosen


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


def test_offline_files_can_be_uploaded_later(finished, tmp_path):
    *_, path = finished
    done = python("-m", "wandb", "sync", "--dry-run", str(path.parent), cwd=tmp_path)
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
        evaluations = [line for line in found if line["type"] == "history" and "train_loss" in line["history"]["item"]]
        assert len(evaluations) == len(outcome.record["curve"])
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


def test_off_makes_no_files_and_starts_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "Process", None)
    assert execute(tiny("tracking.mode=off")).state == "finished"
    assert not (tmp_path / "runs" / "wandb").exists()


def test_when_the_training_process_is_gone_its_run_is_closed_as_one_that_did_not_end_well(tmp_path):
    """Told by the end of its input, as a killed process leaves it."""
    calls = [("open", "offline", {"dir": str(tmp_path), "id": "orphan", "project": "p"}), ("log", {"loss": 0.5}, 3)]
    text = "".join(json.dumps(call) + "\n" for call in calls)
    done = subprocess.run([sys.executable, wandb_process.__file__, "10"], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and [json.loads(line) for line in done.stdout.splitlines()] == [["done", ""]] * 2
    (path,) = tmp_path.glob("wandb/offline-run-*/run-orphan.wandb")
    *_, row, end = lines(path)
    assert (row["history"]["item"]["loss"], row["history"]["item"]["_step"], end["exit"]["exit_code"]) == (0.5, 3, 1)


# --- W&B's own variables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "asked", "mode"),
    [
        ("disabled", "online", "off"),
        ("disabled", "offline", "off"),
        ("offline", "online", "offline"),
        ("dryrun", "online", "offline"),
        ("offline", "off", "off"),
        ("online", "online", "online"),
        ("online", "offline", "offline"),
        ("run", "online", "online"),
        ("", "online", "online"),
        ("", "off", "off"),
    ],
)
def test_the_users_mode_narrows_what_the_config_asks_for_and_never_widens_it(compose, monkeypatch, variable, asked, mode):
    monkeypatch.setenv("WANDB_MODE", variable)
    assert tracking.mode_of(compose(f"tracking.mode={asked}")) == mode


def test_a_disabled_wandb_makes_no_files(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert execute(tiny("tracking.mode=online")).state == "finished"
    assert not (tmp_path / "runs" / "wandb").exists()


def test_an_unknown_mode_is_refused_before_anything_is_trained(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "of")
    with pytest.raises(ValueError, match="^WANDB_MODE=of: must be one of online, run, .*, disabled, or not set$"):
        execute(tiny("tracking.mode=offline"))
    assert not (tmp_path / "runs").exists()


def test_an_offline_wandb_needs_no_key_and_its_files_go_where_the_user_says(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))
    outcome = execute(tiny("tracking.mode=online"))
    (path,) = tmp_path.glob("elsewhere/wandb/offline-run-*/*.wandb")
    check_whole(path, outcome.record)
    assert not (tmp_path / "runs" / "wandb").exists()


def test_where_its_files_cant_be_written_the_run_goes_on_and_says_so_once(tiny, tmp_path, monkeypatch, capfd):
    (tmp_path / "file").touch()
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "file"))
    outcomes = [execute(tiny("tracking.mode=offline", f"seed={seed}")) for seed in range(2)]
    assert [outcome.state for outcome in outcomes] == ["finished"] * 2
    (line,) = said(capfd)
    assert line.startswith("W&B failed (") and line.endswith("file'); training goes on, the record is kept")


# --- its server ---------------------------------------------------------------------------------------------------------


def test_online_the_server_gets_the_curve_and_the_file_holds_the_run(tiny, wandb_server, capfd):
    config = tiny("tracking.mode=online", "mixer.heads=2")
    outcome = execute(config)
    logged = {key: item["value"] for key, item in wandb_server.configs[outcome.name].items()}
    assert (logged["mixer"], logged["task"]) == ("attention", "recall") and logged["settings"] == outcome.record["config"]
    assert [curve_row(row) for row in wandb_server.uploaded] == outcome.record["curve"]
    check_whole(file_of(config, outcome.name, "run"), outcome.record)
    assert said(capfd) == []


@pytest.mark.parametrize("manner", ["refuse", "hang", "no server"])
def test_without_a_server_runs_are_whole_offline_and_it_is_asked_and_spoken_of_once(
    tiny, wandb_server, monkeypatch, capfd, manner
):
    monkeypatch.setattr(tracking, "PATIENCE", 1)
    wandb_server.manner = manner
    if manner == "no server":
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed_port()}")
    first, second = (tiny("tracking.mode=online", f"seed={seed}") for seed in range(2))
    outcomes = [execute(first)]
    asked = wandb_server.requests
    outcomes.append(execute(second))
    assert wandb_server.requests == asked
    for config, outcome in zip([first, second], outcomes, strict=True):
        assert outcome.state == "finished"
        check_whole(file_of(config, outcome.name), outcome.record)
    files = Path(first.runs, "wandb")
    assert len([path for path in files.glob("*run-*") if not path.is_symlink()]) == 2  # and none of a run that was not begun
    reason = f"Failed to authenticate with {wandb_server.url}: invalid key" if manner == "refuse" else "no answer within 1 s"
    sync = f"upload later with wandb sync {files}/offline-run-*"
    assert said(capfd) == [f"W&B can't be used online ({reason}): logging offline; {sync}"]


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_when_the_server_hangs_in_mid_run_the_file_is_whole_and_can_be_uploaded(
    tiny, wandb_server, monkeypatch, tmp_path, capfd
):
    monkeypatch.setattr(tracking, "PATIENCE", 2)
    wandb_server.hangs_after = "UpsertBucket"  # which begins a run
    config = tiny("tracking.mode=online")
    outcome = execute(config)
    path = file_of(config, outcome.name, "run")
    check_whole(path, outcome.record)
    (line,) = said(capfd)
    command = f"wandb sync --include-online {path.parent}"
    assert line == f"W&B can't be used online (its upload takes over 2 s): logging offline; upload later with {command}"

    wandb_server.manner, wandb_server.hangs_after, wandb_server.uploaded = "answer", None, []
    again = [*WANDB, *command.split()[1:]]
    sync = subprocess.run(again, cwd=tmp_path, capture_output=True, text=True, timeout=60)  # it leaves a log where it runs
    assert sync.returncode == 0, sync.stderr
    assert [curve_row(row) for row in wandb_server.uploaded] == outcome.record["curve"]


def test_a_launcher_asks_the_server_once_for_all_of_its_workers(run_py, wandb_server, monkeypatch, tmp_path):
    monkeypatch.setattr(tracking, "PATIENCE", 1)
    wandb_server.manner = "hang"
    small = [
        "task=recall",
        "task.length=8",
        "model.width=16",
        "model.ffn_width=64",
        "train.steps=2",
        "train.batch=4",
        "evaluation.validation_items=8",
        "evaluation.test_items=8",
        f"runs={tmp_path / 'runs'}",
    ]
    ended = run_py("-m", "seed=0,1", *small, "tracking.mode=online", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert ended.code == 0, ended
    assert [line for line in ended.err.splitlines() if "W&B" in line] == [
        "W&B can't be used online (no answer within 1 s): logging offline; upload later with wandb sync "
        f"{tmp_path / 'runs'}/wandb/offline-run-*"
    ]
    assert wandb_server.requests == 1
    assert len(list(tmp_path.glob("runs/wandb/offline-run-*/*.wandb"))) == 2


# --- its processes ------------------------------------------------------------------------------------------------------


def processes(words, parent):
    """Ids of the processes of a program that another process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            started = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if started == parent and words in (path / "cmdline").read_text():
                found.append(int(path.name))
        except (OSError, IndexError):
            continue
    return found


@pytest.fixture
def hit(monkeypatch):
    """hit(number, name): in mid-run, send a signal to W&B's own service, or to the process that started it."""
    validation_step, victims = Training.validation_step, []

    def arrange(number, name):
        def step(self, *arguments):
            if not victims:
                (process,) = processes("wandb_process.py", os.getpid())
                victims.extend(processes("wandb-core", process) if name == "service" else [process])
                (victim,) = victims
                os.kill(victim, number)
            return validation_step(self, *arguments)

        monkeypatch.setattr(Training, "validation_step", step)

    yield arrange
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGCONT)


in_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here to find W&B's processes in")


@in_proc
@pytest.mark.parametrize("name", ["service", "process"])
def test_when_it_is_killed_in_mid_run_the_run_is_logged_again_whole(tiny, hit, capfd, name):
    hit(signal.SIGKILL, name)
    check_logged_again(tiny("tracking.mode=offline"), capfd)


@in_proc
def test_when_its_service_is_frozen_in_mid_run_the_run_is_logged_again_whole(tiny, hit, monkeypatch, capfd):
    monkeypatch.setattr(tracking, "PATIENCE", 1)
    hit(signal.SIGSTOP, "service")
    check_logged_again(tiny("tracking.mode=offline"), capfd)


def check_logged_again(config, capfd):
    outcome = execute(config)
    assert outcome.state == "finished" and len(outcome.record["curve"]) == 2
    _, again = sorted(Path(config.runs, "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    check_whole(again, outcome.record)
    (line,) = said(capfd)
    assert line.startswith("W&B failed (") and line.endswith("), so a run was logged again, offline; nothing of it is lost")


@in_proc
def test_when_all_of_it_is_frozen_the_run_ends_all_the_same_and_so_does_the_next(tiny, hit, monkeypatch, capfd):
    monkeypatch.setattr(tracking, "LIMIT", 1)
    hit(signal.SIGSTOP, "process")
    assert execute(tiny("tracking.mode=offline")).state == "finished"
    assert said(capfd) == ["W&B failed (no answer for 1 s); training goes on, the record is kept"]
    monkeypatch.setattr(tracking, "LIMIT", 30)
    config = tiny("tracking.mode=offline", "seed=1")
    outcome = execute(config)
    check_whole(file_of(config, outcome.name), outcome.record)


# --- its key ------------------------------------------------------------------------------------------------------------


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
    command = [
        sys.executable,
        "run.py",
        "tier=smoke",
        "train.steps=2",
        "model.width=16",
        "model.ffn_width=64",
        "task.length=8",
        "evaluation.test_items=8",
        f"runs={tmp_path / 'runs'}",
    ]
    done = subprocess.run([*traced, *command], cwd=root, capture_output=True, text=True)
    if "Operation not permitted" in done.stderr:
        pytest.skip("strace is not permitted here")
    assert done.returncode == 0, done.stderr
    calls = log.read_text().splitlines()
    assert any("AF_UNIX" in call for call in calls), "W&B did not even start"
    outside = [call for call in calls if "AF_INET" in call and "127.0.0.1" not in call and "::1" not in call]
    assert not outside


def test_maps_are_drawn_dark_where_the_weight_is(tiny):
    config = tiny("tracking.mode=offline")
    tracker = tracking.Tracker(config, "maps")
    weights_HNN = numpy.array([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.25, 0.75]]])
    tracker.log_maps([weights_HNN], 7)
    tracker.close(0)
    (picture,) = file_of(config, "maps").parent.glob("files/media/images/attention/layer_1_*.png")
    expected = [[0, 255, 255, 0], [128, 128, 192, 64]]  # two heads side by side
    assert numpy.abs(numpy.array(Image.open(picture), int) - expected).max() <= 1
