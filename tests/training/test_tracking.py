"""W&B mirrors the records, in files of its own and without a network; whatever becomes of it, the run goes on."""

import base64
import contextlib
import fcntl
import functools
import hashlib
import json
import math
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from analysis import load
from study import records, schema
from study.metrics import METRICS
from study.models.encoder import SequenceModel
from study.training import mirrored, tracking, wandb_process
from study.training.module import Training
from study.training.runner import execute
from tests.cases import case
from tests.processes import SAY, python
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
    (path,) = Path(config.runs, "wandb").glob(f"{kind}-*/run-{name}.wandb")
    return path


@functools.cache
def inspect(path, *options):
    done = python("-m", "wandb", "leet", "inspect", *options, "--json", str(path), cwd=path.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines(path):
    return [json.loads(line) for line in inspect(path).splitlines()]


def check_whole(path, record):
    """The file holds all of the run, and names its record as an artifact."""
    check_logged(found := lines(path), record)
    (kept,) = [line["artifact"] for line in found if line["type"] == "artifact" and line["artifact"]["type"] == "record"]
    (file,) = kept["manifest"]["contents"]
    body = Path(file["local_path"]).read_bytes()
    assert (file["path"], json.loads(body)) == (records.NAME, record)
    assert file["digest"] == base64.b64encode(hashlib.md5(body).digest()).decode()


def check_logged(found, record):
    """Config, curve, scores, and how it ended."""
    (run,) = [line["run"] for line in found if line["type"] == "run"]
    assert run["config"]["update"]["settings"] == record["config"]
    rows = [line["history"]["item"] for line in found if line["type"] == "history"]
    assert [curve_row(row) for row in rows] == record["curve"]
    assert scores_of(rows[-1]) == {s: m for s, m in compared(record["metrics"]).items() if s != "validation"}
    assert found[-1]["exit"]["exit_code"] == int(record["status"] != "finished")


def curve_row(logged):
    """A row of the history as the record's curve has it."""
    own = {key: value for key, value in logged.items() if key.startswith("validation/") or key in ("step", "train/loss")}
    assert logged["_step"] == own["step"]
    return {key.replace("/", "_"): value for key, value in own.items()}


def scores_of(logged):
    """The scores of the trained weights in the last row of the history, by split."""
    found = {}
    for key, value in logged.items():
        split, _, metric = key.partition("/")
        if split in ("test", "out"):
            found.setdefault(split, {})[metric] = value
    return found


def compared(metrics):
    """Scores, without the counts of what they are the means of."""
    return {split: {name: value for name, value in found.items() if name in METRICS} for split, found in metrics.items()}


def said(capfd):
    """What the error stream says of W&B."""
    return [line for line in capfd.readouterr().err.splitlines() if "W&B" in line]


@pytest.fixture(scope="module")
def finished(compose, tmp_path_factory):
    """One run, tracked as it is by default: (config, record, its file)."""
    folder = tmp_path_factory.mktemp("tracked")
    small = """
        task=reverse task.max_length=6 tier=smoke model.width=16 model.ffn_width=64 train.steps=4 train.batch=4
        train.evaluate_every=2 evaluation.test_items=8 evaluation.validation_items=8 trainer.keep_weights=true
    """.split()
    config = compose(*small, f"runs={folder}", *DECLARED)
    assert config.tracking.mode == "offline"
    record = execute(config).record
    tracking._idle.pop().end()
    path = file_of(config, record["name"])
    return config, record, path


def test_the_file_holds_the_run_number_by_number(finished):
    _, record, path = finished
    check_whole(path, record)
    summary = json.loads(inspect(path, "--summary"))["summary"]
    for split in ("test", "out"):
        for metric in ("accuracy", "bits_per_character"):
            assert summary.pop(f"{split}/{metric}") == record["metrics"][split][metric]
    for key in "steps tested_at seconds step_seconds peak_memory_bytes tokens_seen status weights_sha256".split():
        assert summary.pop(key) == record[key]
    for name, count in record["parameters"].items():
        assert summary.pop(f"parameters/{name}") == count
    losses, accuracies = ([row[f"validation_{key}"] for row in record["curve"]] for key in ("loss", "accuracy"))
    assert summary.pop("validation/loss") == {"min": min(losses), "last": losses[-1]}
    assert summary.pop("validation/accuracy") == {"max": max(accuracies), "last": accuracies[-1]}
    assert summary.pop("train/loss") == {"min": min(row["train_loss"] for row in record["curve"])}


def test_the_summary_is_short(tiny):
    """Also of a run that is scored in every way on every split."""
    how = ["task.out_length=10", "evaluation.train=true", "architecture=transformer", "model.match=nothing"]
    config = tiny("tracking.mode=offline", *how, task="reversal")
    record = execute(config).record
    summary = json.loads(inspect(file_of(config, record["name"]), "--summary"))["summary"]
    assert {"test/exact", "out/alignment", "on_train/token_accuracy"} <= summary.keys()

    shown = sum(len(value) if isinstance(value, dict) and "_type" not in value else 1 for value in summary.values())
    not_yet = {"steps_to_90", "steps_to_solve"}  # it learnt nothing
    assert shown + len(not_yet - summary.keys()) <= 40


def test_no_committed_record_makes_a_long_summary():
    others = 10  # of the curve and W&B's own, and the maps
    kinds = {}  # by the keys that a record has
    for path in sorted(records.RESULTS.glob("core/records/*.jsonl")):
        for record in map(json.loads, path.open(encoding="utf-8")):
            kinds[(*record, *record["metrics"])] = record
    assert kinds
    for record in kinds.values():
        kept = [key for key in mirrored.scores(record) if mirrored.kept_of(key) != "none"]
        assert len(mirrored.summary(record)) + len(kept) + others <= 40


def test_charts_are_drawn_over_steps_and_the_way_to_the_weights_is_logged(finished):
    config, record, path = finished
    found = lines(path)
    defined = {line["metric"]["name"]: line["metric"] for line in found if line["type"] == "metric"}
    rows = [line["history"]["item"] for line in found if line["type"] == "history"]
    logged = {key for row in rows for key in row if not key.startswith(("_", "attention/"))}
    assert logged <= defined.keys()
    assert {defined[key]["step_metric"] for key in logged - {"step"}} == {"step"}
    rising, tokens = 1, config.train.batch * 6
    for row in rows:  # of 4 steps, the first of which is a warm-up
        share = 0.5 * (1 + math.cos(math.pi * (row["step"] - 1 - rising) / (4 - rising)))
        assert row["train/learning_rate"] == pytest.approx(0.003 * share)
        assert 0 < row["train/gradient_norm"] < 100
        assert 0 < row["train/tokens_per_second"] < tokens / record["step_seconds"] * 10


def test_what_is_logged_changes_no_weights(finished, tmp_path):
    config, record, _ = finished
    untracked = OmegaConf.merge(config, {"runs": str(tmp_path), "tracking": {"mode": "off"}})
    assert execute(untracked).record["weights_sha256"] == record["weights_sha256"]


def test_kept_weights_are_an_artifact(finished):
    config, record, path = finished
    kept = {line["artifact"]["type"]: line["artifact"] for line in lines(path) if line["type"] == "artifact"}
    (file,) = kept["weights"]["manifest"]["contents"]
    assert file["local_path"] == str(Path(config.runs, record["name"], "weights.pt"))


def test_wandb_leet_can_tell_runs_apart_at_100_columns(tiny):
    ways = [("seed=0", "train.rate=0.01"), ("seed=0", "train.rate=0.001"), ("seed=1", "train.rate=0.001")]
    for way in ways:
        execute(tiny("tracking.mode=offline", *way, *DECLARED))
    folder = Path(tiny().runs, "wandb")
    shown = seen_in_leet(folder, f"[{len(ways)} items]")
    runs = [path.name for path in folder.glob("offline-run-*")]
    for run in runs:
        (own,) = {name for name in shown if run.startswith(name.removesuffix("..."))}
        assert [other for other in runs if other.startswith(own.removesuffix("..."))] == [run]
        assert re.match("offline-run-s[01]-....-a-b-lr0.0", own)
    assert (folder / "latest-run").resolve().name in runs


def seen_in_leet(folder, until):
    """Names of runs that ``wandb leet`` shows on a terminal of 100 columns, once it has written ``until``."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    leet = subprocess.Popen(
        [*WANDB, "leet", folder], stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True
    )
    written, deadline = b"", time.monotonic() + 240
    try:
        while until.encode() not in written or select.select([ours], [], [], 1)[0]:
            assert time.monotonic() < deadline, written
            if select.select([ours], [], [], 1)[0]:
                written += os.read(ours, 65536)
    finally:
        os.killpg(leet.pid, signal.SIGKILL)
        leet.wait()
        os.close(ours)
        os.close(its)
    return set(re.findall(r"offline-run-[\w.-]+", re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b" ", written).decode()))


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


def test_the_maps_are_an_image(finished):
    *_, path = finished
    (image,) = path.parent.glob("files/media/images/attention/*.png")
    assert image.name.startswith("maps_4_")  # 4: the last step


def test_all_runs_share_one_folder_each_with_a_readable_name_and_its_own_exit_state(tiny, monkeypatch):
    """Four runs in one process, the second of which raises; the last is interrupted."""
    configs = [tiny("tracking.mode=offline", f"seed={seed}", *DECLARED) for seed in range(4)]
    good = [execute(configs[0])]
    with monkeypatch.context() as broken:
        broken.setattr(SequenceModel, "forward", lambda *_, **__: 1 / 0)
        bad = execute(configs[1])
    good.append(execute(configs[2]))
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):

        def interrupt(*_):
            raise KeyboardInterrupt

        keyboard.setattr(Training, "validation_step", interrupt)
        execute(configs[3])
    assert [outcome.state for outcome in good] == ["finished"] * 2 and bad.state == "failed"
    folder = Path(configs[0].runs, "wandb")
    assert len(list(folder.glob("offline-run-*"))) == 4
    for outcome, code in [(good[0], 0), (bad, 1), (good[1], 0)]:
        found = lines(file_of(configs[0], outcome.name))
        assert [line["exit"]["exit_code"] for line in found if line["type"] == "exit"] == [code]
        assert {line["run"]["run_id"] for line in found if line["type"] == "run"} == {outcome.name}
        updates = [line["summary"]["update"] for line in found if line["type"] == "summary"]
        assert [update["status"] for update in updates if "status" in update] == [outcome.record["status"]]
        evaluations = [line for line in found if line["type"] == "history" and "train/loss" in line["history"]["item"]]
        assert len(evaluations) == len(outcome.record["curve"])
    assert bad.record["error"] == "ZeroDivisionError: division by zero"
    interrupted = lines(file_of(configs[3], schema.name(configs[3])))
    assert [line["exit"]["exit_code"] for line in interrupted if line["type"] == "exit"] == [1]


def test_off_makes_no_files_and_starts_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "Process", None)
    assert execute(tiny("tracking.mode=off")).state == "finished"
    assert not (tmp_path / "runs" / "wandb").exists()


def test_when_the_training_process_is_gone_its_run_is_closed_as_one_that_did_not_end_well(tmp_path):
    """Told by the end of its input, as a killed process leaves it."""
    calls = [("open", "offline", {"dir": str(tmp_path), "id": "orphan", "project": "p"}, ""), ("log", {"loss": 0.5}, 3)]
    text = "".join(json.dumps(call) + "\n" for call in calls)
    done = subprocess.run([sys.executable, wandb_process.__file__, "10", "10"], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and [json.loads(line) for line in done.stdout.splitlines()] == [["done", ""]] * 2
    (path,) = tmp_path.glob("wandb/offline-run-*/run-orphan.wandb")
    *_, row, end = lines(path)
    assert (row["history"]["item"]["loss"], row["history"]["item"]["_step"], end["exit"]["exit_code"]) == (0.5, 3, 1)


# --- W&B's own variables ------------------------------------------------------------------------------------------------


def test_the_users_mode_narrows_what_the_config_asks_for_and_never_widens_it(compose, monkeypatch):
    for variable, asked, mode in [
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
    ]:
        with case(variable, asked):
            monkeypatch.setenv("WANDB_MODE", variable)
            assert tracking.mode_of(compose(f"tracking.mode={asked}")) == mode


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


def test_online_the_server_gets_the_curve_the_file_holds_the_run_and_the_analysis_has_its_record(
    no_session, tiny, wandb_server, capfd
):
    config = tiny("tracking.mode=online", "mixer.heads=2")
    outcome = execute(config, command="python run.py seed=0")
    logged = {key: item["value"] for key, item in wandb_server.configs[outcome.name].items()}
    assert (logged["mixer"], logged["task"]) == ("attention", "recall") and logged["settings"] == outcome.record["config"]
    assert [curve_row(row) for row in wandb_server.uploaded] == outcome.record["curve"]
    check_logged(lines(file_of(config, outcome.name, "run")), outcome.record)
    assert said(capfd) == []
    assert json.loads(wandb_server.files[f"record-{outcome.record['id']}/record.json"]) == outcome.record
    machine = json.loads(wandb_server.files["wandb-metadata.json"])
    assert (machine["program"], machine["args"]) == ("run.py", ["seed=0"]) and machine["cpu_count"]
    assert machine.get("git", {}).get("commit") == outcome.record["provenance"]["revision"]
    assert wandb_server.files["code/run.py"] == Path("run.py").read_bytes()
    assert ("diff.patch" in wandb_server.files) == (outcome.record["provenance"]["clean"] is False)
    wandb_server.runs.append(outcome.name)
    assert list(load.from_wandb("team/study")) == [outcome.record]


@pytest.mark.parametrize("manner", ["refuse", "hang", "no server"])
def test_without_a_server_runs_are_whole_offline_and_it_is_asked_and_spoken_of_once(
    tiny, wandb_server, monkeypatch, capfd, manner
):
    wandb_server.manner = manner
    if manner != "refuse":
        monkeypatch.setattr(tracking, "PATIENCE", 1)
    if manner == "no server":
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed_port()}")
    first, second = (tiny("tracking.mode=online", f"seed={seed}") for seed in range(2))
    outcomes = [execute(first)]
    asked = wandb_server.requests
    outcomes.append(execute(second))
    assert wandb_server.requests == asked
    assert [outcome.state for outcome in outcomes] == ["finished"] * 2
    check_whole(file_of(first, outcomes[0].name), outcomes[0].record)
    file_of(second, outcomes[1].name)  # logged like any run offline
    files = Path(first.runs, "wandb")
    assert len([path for path in files.glob("*run-*") if not path.is_symlink()]) == 2  # and none of a run that was not begun
    reason = f"Failed to authenticate with {wandb_server.url}: invalid key" if manner == "refuse" else "no answer within 1 s"
    sync = f"upload later with wandb sync {files}/offline-run-*"
    assert said(capfd) == [f"W&B can't be used online ({reason}): logging offline; {sync}"]


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize(
    ("last", "reason"),
    [("UpsertBucket", "no answer within 4 s"), ("CreateArtifact", "its upload takes over 4 s")],
    ids=["in mid-run", "at its end"],
)
def test_when_the_server_hangs_the_run_is_whole_offline_and_can_be_uploaded(
    tiny, wandb_server, monkeypatch, tmp_path, capfd, last, reason
):
    monkeypatch.setattr(tracking, "PATIENCE", 4)  # until the server hangs it has to answer in time
    wandb_server.hangs_after = last
    config = tiny("tracking.mode=online")
    outcome = execute(config)
    path = file_of(config, outcome.name)
    check_whole(path, outcome.record)
    (line,) = said(capfd)
    command = f"wandb sync {path.parent.parent}/offline-run-*"
    assert line == f"W&B can't be used online ({reason}): logging offline; upload later with {command}"

    wandb_server.manner, wandb_server.hangs_after, wandb_server.uploaded = "answer", None, []
    again = [*WANDB, "sync", str(path.parent)]
    sync = subprocess.run(again, cwd=tmp_path, capture_output=True, text=True, timeout=240)  # it leaves a log where it runs
    assert sync.returncode == 0, sync.stderr
    assert [curve_row(row) for row in wandb_server.uploaded] == outcome.record["curve"]


def test_a_grid_asks_the_server_once_before_any_run(run_py, wandb_server, monkeypatch, tmp_path):
    """A declared sweep: tests/test_sweeping.py. That workers of joblib's hear of it: tests/test_run_command_line.py."""
    wandb_server.manner = "refuse"
    begin, modes = tracking.Tracker.__init__, []

    def noted(*given):
        modes.append(os.environ["WANDB_MODE"])
        begin(*given)

    monkeypatch.setattr(tracking.Tracker, "__init__", noted)
    small = """
        task=recall task.length=8 model.width=16 model.ffn_width=64 train.steps=2 train.batch=4
        evaluation.validation_items=8 evaluation.test_items=8
    """.split()
    small.append(f"runs={tmp_path / 'runs'}")
    ended = run_py("-m", "seed=0,1", *small, "tracking.mode=online")
    assert ended.code == 0, ended
    (line,) = [line for line in ended.err.splitlines() if "W&B" in line]
    assert line.startswith("W&B can't be used online (") and "): logging offline; upload later with wandb sync " in line
    assert line.endswith(f" {tmp_path / 'runs'}/wandb/offline-run-*")
    assert modes == ["offline"] * 2 and wandb_server.requests == 1
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
                while not (found := processes("wandb_process.py", os.getpid())):
                    time.sleep(0.1)  # it starts beside the run
                (process,) = found
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
    monkeypatch.setattr(tracking, "LOCALLY", 5)
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
    monkeypatch.setattr(tracking, "LIMIT", 120)
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
    done = python("-c", code, cwd=Path(tracking.__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert said in done.stdout and bool(said) == bool(done.stdout)
    assert len(done.stdout.splitlines()) <= 1


def test_an_offline_run_loads_no_wandb_connects_to_nothing_and_looks_up_no_name(tmp_path):
    """Seen from outside: W&B's own service is another program, which no fixture can hold back."""
    log = tmp_path / "calls"
    root = Path(tracking.__file__).parents[2]
    traced = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto,sendmmsg", "-o", str(log)]
    small = "tier=smoke train.steps=2 model.width=16 model.ffn_width=64 task.length=8 evaluation.test_items=8"
    command = [sys.executable, "-c", SAY, json.dumps([f"{small} runs={tmp_path / 'runs'}"])]
    how = {"cwd": root, "capture_output": True, "text": True}
    can_trace = shutil.which("strace") and subprocess.run([*traced, "true"], **how).returncode == 0
    done = subprocess.run([*traced, *command] if can_trace else command, **how)
    assert done.returncode == 0, done.stderr
    (_, said, code), modules = map(json.loads, done.stdout.splitlines())
    assert code == 0, said
    assert "torch" in modules and "wandb" not in modules, "its own process alone loads it"
    if not can_trace:
        pytest.skip("strace is not installed, or not permitted here")
    calls = log.read_text().splitlines()
    assert any("AF_UNIX" in call for call in calls), "W&B did not even start"
    outside = [call for call in calls if "AF_INET" in call and "127.0.0.1" not in call and "::1" not in call]
    assert not outside
