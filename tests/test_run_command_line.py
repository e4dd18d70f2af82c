"""``python run.py``: mostly inside this process (fast), in processes of their own where signals and races are at stake."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest
import yaml

from study import experiments, keys, parts, records
from study.mixers.identity import Identity
from tests.processes import SAY, python, start

pytestmark = pytest.mark.slow

Ended = namedtuple("Ended", "code out err")
CONF = Path(experiments.FOLDER).parent
SMALL = """
    tier=smoke task.length=8 model.width=16 model.ffn_width=64 train.steps=4 train.batch=4 train.evaluate_every=2
    evaluation.validation_items=8 evaluation.test_items=8 tracking.mode=off
""".split()
PROGRESS = ("training: ", "testing: ")  # of a run that takes longer than ten seconds, as on a busy machine
SWEEP = ["-m", "experiment=tiny", "tier=smoke", "tracking.mode=off", "runs=runs"]


def found(folder):
    """Whole records of a folder by name; an invalid record fails the test."""
    everything = list(records.load_runs(folder))
    assert not [record for record in everything if isinstance(record, Exception)]
    return {record["name"]: record for record in everything}


def when_written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob(f"*/{records.NAME}")}


# --- one run ------------------------------------------------------------------------------------------------------------


def test_one_run_says_its_scores_and_leaves_a_record(run_py, tmp_path):
    ended = run_py(*SMALL, f"runs={tmp_path}")
    (record,) = found(tmp_path).values()
    test = record["metrics"]["test"]["accuracy"]
    assert ended.code == 0 and all(line.startswith(PROGRESS) for line in ended.err.splitlines())
    line, folder, *hints = ended.out.splitlines()
    assert line.startswith(f"{record['name']}: accuracy ") and f"test {test:.4f}" in line and "after 4 steps" in line
    assert folder.split() == ["folder:", str(tmp_path / record["name"])]
    assert [hint.split()[0] for hint in hints] == ["page:", "compare:"] and f"--source {tmp_path}" in hints[0]
    before = when_written(tmp_path)
    again = run_py(*SMALL, f"runs={tmp_path}")
    assert (again.code, again.out) == (0, ended.out)
    assert when_written(tmp_path) == before


def test_the_command_in_a_record_makes_the_run_again(run_py, tmp_path):
    run_py(*SMALL, "mixer=window", "mixer.window=4", "seed=3", f"runs={tmp_path / 'a'}")
    (record,) = found(tmp_path / "a").values()
    program, script, *arguments = shlex.split(record["command"])
    assert (program, script) == ("python", "run.py")
    run_py(*arguments, f"runs={tmp_path / 'b'}")
    (again,) = found(tmp_path / "b").values()
    assert (again["name"], again["weights_sha256"]) == (record["name"], record["weights_sha256"])


REFUSED = {  # what else is refused: tests/test_schema.py
    "mixer.heads=7": "error: heads=7 does not divide width=64; use one of 1, 2, 4, 8, 16, 32, 64, or set head_width",
    "experiment=heads": "error: experiment=heads declares a sweep of many runs: launch it with python run.py -m exper",
    "task=shakespeare data.download=false data.root=nowhere": (
        "error: nowhere/tinyshakespeare/input.txt is missing: set data.download=true, or put https://raw.githubuser"
    ),
}


@pytest.mark.parametrize("overrides", REFUSED)
def test_a_mistake_is_one_line_and_leaves_nothing(run_py, tmp_path, overrides):
    ended = run_py(*overrides.split(), f"runs={tmp_path / 'runs'}", "tracking.mode=off")
    assert ended.code == 1 and ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.startswith(REFUSED[overrides])
    assert not (tmp_path / "runs").exists()


def test_a_mistake_is_one_line_in_a_real_process_too(checkout):
    done = python("run.py", "mixer.heads=7", cwd=checkout)
    assert (done.returncode, done.stdout) == (1, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith(REFUSED["mixer.heads=7"])
    assert not (checkout / "runs").exists()


# What Hydra, the config and its parts' sources show: nothing that takes time to import is.
AT_ONCE = {
    "--mixer lstm": "--mixer: keys take no dashes; say mixer=lstm (python run.py --help explains every key)",
    "--task=mqar": "--task=mqar: keys take no dashes; say task=mqar",
    "seed=1 --rate 0.1": "--rate: keys take no dashes; say train.rate=0.1",
    "--train-rate=0.1": "--train-rate=0.1: keys take no dashes; say train.rate=0.1",
    "--epochs 3": "--epochs: keys take no dashes; none is called so",
    "--cfg": "argument --cfg/-c: expected one argument (python run.py --help explains every key)",
    "mixer lstm": "mixer is not of the form key=value; say mixer=NAME",
    "lstm": "lstm is not of the form key=value; did you mean mixer=lstm?",
    "runs=a=b": "runs=a=b is not of the form key=value; quote what is no plain value",
    "mixer=attention,lstm": (
        "mixer=attention,lstm: several values make a run each, which takes -m: python run.py -m mixer=attention,lstm\n"
    ),
    "seed=range(0,3)": "seed=range(0,3): several values make a run each, which takes -m: python run.py -m seed=range(0,3)\n",
    "cost.lengths=8,16": (
        "cost.lengths=8,16: several values make a run each, which takes -m: python run.py -m cost.lengths=8,16; one list "
        "is written cost.lengths=[8,16]\n"
    ),
    "+mixer=lstm": "mixer has a value already: leave out the +",
    "mixer=[attention,lsmt]": "no mixer=lsmt; did you mean lstm? there are attention, ",
    "hydra/launcher=jobib": "no hydra/launcher=jobib; did you mean joblib? there are basic, ",
    "hydra/launcher=joblib": "hydra/launcher=joblib launches several runs, which takes -m; leave it out for a single one",
    "train.stepz=3": "no key train.stepz here; did you mean train.steps?",
    "experiment=haeds": "no experiment 'haeds'; did you mean experiment=heads? there are addnorm, ",
    "experiment=all": "experiment=all declares a sweep of many runs: launch it with python run.py -m experiment=all",
    "experiment=heads": "experiment=heads declares a sweep of many runs: launch it with python run.py -m experiment=heads",
    "-m experiment=haeds": "no experiment 'haeds'; did you mean experiment=heads? there are addnorm, ",
    "-m experiment=../x": "no experiment '../x'; there are addnorm, ",
    "-m experiment=heads seed=1": "seed belongs to what experiment heads varies; narrow the sweep with ",
    "-m experiment=heads search.length_penalty=nan": (
        "heads, arm {}, task {}: search.length_penalty=nan: must be at least 0 and at most 10".format(
            *experiments.load("heads").cells("core")[0]
        )
    ),
    "-m seed=0,1 search.length_penalty=0,nan": "search.length_penalty=nan: must be at least 0 and at most 10",
    "-m mixer=attention,lstm model.dropout=0,1": "model.dropout=1.0: must be at least 0 and below 1",
    "mixer.name=os.system": "mixer=os.system: there is none of this name; there are attention, ",
    "mixer.heads=two": "mixer.heads=two: must be of type int",
    "task=reversal architecture=transformer mixer=fully_connected": "architecture=transformer attends to all tokens, which ",
    "task=multi30k": "architecture=encoder answers tokens, but task=multi30k is a task of pairs: use architecture=bahdan",
    "origin.arm=../../..": "origin.experiment and origin.task not given beside the rest of origin: leave all of it to ",
    "runs=": "runs is empty: give it a value, or leave it out for its default",
    "runs=run.py": "runs=run.py: run.py is a file; name a folder that can be written to, runs=FOLDER",
    "runs=/proc/runs": "runs=/proc/runs: /proc takes no new folder (No such file or directory); name a folder that can ",
    "-m seed=0,1 runs=run.py": "runs=run.py: run.py is a file; name a folder that can be written to, runs=FOLDER",
    "-m experiment=heads runs=run.py": "runs=run.py: run.py is a file; name a folder that can be written to, runs=FOLDER",
}
# What only a part itself can tell: it takes torch, and nothing more.
WITH_TORCH = {
    "mixer.heads=7": "heads=7 does not divide width=64; use one of 1, 2, 4, ",
    "mixer=window mixer.window=1000": "mixer.window=1000: reaches 1000 positions away, and no sequence here has more",
    "-m mixer.heads=4,7": "heads=7 does not divide width=64; use one of 1, 2, 4, ",
}
HEAVY = ("torch", "pytorch_lightning", "wandb", "torchmetrics", "torch._dynamo", "sympy", "sklearn", "pandas")


@pytest.mark.parametrize(("commands", "allowed"), [(AT_ONCE, ()), (WITH_TORCH, ("torch",))], ids=["at once", "with torch"])
def test_who_is_refused_does_not_wait(checkout, commands, allowed):
    """All in one process, so that the end shows what any of them has imported."""
    words = [sys.executable, "-c", SAY, json.dumps(list(commands))]
    done = subprocess.run(words, cwd=checkout, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(checkout)})
    assert done.returncode == 0, done.stderr
    *answers, modules = map(json.loads, done.stdout.splitlines())
    assert [command for command, _, _ in answers] == list(commands)
    for command, printed, line in answers:
        assert printed == "", command
        assert line.startswith(f"error: {commands[command]}") and line.count("\n") == 1, command
    assert [module for module in HEAVY if module in modules] == list(allowed)
    assert not (checkout / "runs").exists() and not (checkout / "data").exists()


def test_a_grid_with_one_mistake_trains_nothing(run_py, tmp_path):
    ended = run_py("-m", *SMALL, f"runs={tmp_path / 'runs'}", "mixer.heads=4,7")
    assert ended.code == 1 and ended.out == ""
    assert ended.err.startswith("error: heads=7 does not divide width=16")
    assert not (tmp_path / "runs").exists()


def test_a_run_that_fails_says_so_and_ends_with_1(run_py, tmp_path):
    ended = run_py(*SMALL, f"runs={tmp_path}", "train.rate=1e30", "train.clip=1e30", "train.warmup=0")
    (record,) = found(tmp_path).values()
    assert record["status"] == "diverged" and ended.code == 1
    said, folder, why = ended.out.splitlines()
    assert said == f"{record['name']}: diverged: {record['error']}"
    assert why.split() == ["why:", f"{folder.split()[1]}/traceback.txt"] and Path(why.split()[1]).exists()


def test_help_is_one_screen_that_names_every_choice_and_key(run_py):
    ended = run_py("--help")
    assert ended.code == 0 and len(ended.out.splitlines()) <= 45
    words = set(re.findall(r"\w+", ended.out))
    assert {path.stem for path in CONF.glob("*/*.yaml")} | {key.rpartition(".")[2] for key in keys.every()} <= words


def test_help_on_a_group_explains_its_choices_and_their_keys(run_py):
    groups = [path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra"]
    page = run_py("--help", *groups, "hydra/launcher").out
    for path in CONF.rglob("*/*.yaml"):
        group = path.parent.relative_to(CONF).as_posix()
        choice, first = f"{group}={path.stem}", path.read_text().splitlines()
        assert f"{choice}: " in page if group.startswith("hydra") else f"{choice}\n" in page, path
        if group in parts.GROUPS:
            assert all(line in page for line in first if not line.startswith("name:")), path
    assert run_py("mixer=lstm", "--help").out == run_py("--help", "mixer").out


def test_help_on_keys_gives_defaults_words_and_bounds(run_py, compose):
    page = run_py("--help", "keys").out
    for dotted, key in keys.every().items():
        assert f"{dotted.rpartition('.')[2]}: {_yaml(key.default)}  # {key.words}" in page, dotted
    assert "  rate: 0.003  # peak learning rate; above 0" in page and "tracking" in run_py("--help", "tracking").out
    assert "  label_smoothing: 0.0" in run_py("--help", "train.label_smoothing").out


def _yaml(value):
    return value if isinstance(value, str) else json.dumps(value)


def test_help_on_what_is_not_there_says_what_is(run_py):
    ended = run_py("--help", "mixr")
    assert ended.code == 1 and ended.err.startswith("error: no help for mixr; did you mean --help mixer? there is --help ")


# --- several runs -------------------------------------------------------------------------------------------------------


def test_values_of_a_key_make_a_run_each(run_py, tmp_path):
    ended = run_py("-m", *SMALL, f"runs={tmp_path}", "mixer=attention,identity", "seed=0,1")
    made = {(r["config"]["mixer"]["name"], r["config"]["seed"]) for r in found(tmp_path).values()}
    assert made == {(mixer, seed) for mixer in ("attention", "identity") for seed in (0, 1)}
    head, *rows, page = ended.out.splitlines()
    assert ended.code == 0 and head.split()[:2] == ["mixer", "seed"]
    assert page == f"page: python -m analysis page --source {tmp_path}"
    assert [row.split()[:2] for row in rows] == [[mixer, seed] for mixer in ("attention", "identity") for seed in "01"]


def test_one_of_several_that_fails_is_named_and_the_others_are_made(run_py, tmp_path):
    ended = run_py("-m", *SMALL, f"runs={tmp_path}", "train.rate=1e30,0.003", "train.clip=1e30", "train.warmup=0")
    status = {record["status"]: name for name, record in found(tmp_path).items()}
    assert status.keys() == {"diverged", "finished"}
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == f"not finished: {status['diverged']}"


# --- a declared sweep ---------------------------------------------------------------------------------------------------


def test_a_declared_sweep_from_one_command(run_py, checkout):
    path = checkout / "conf" / "experiment" / "tiny.yaml"
    declared = yaml.safe_load(path.read_text())
    declared["tiers"]["smoke"]["rates"] = [0.003, 0.01]
    del declared["arms"]["identity"]
    path.write_text(yaml.safe_dump(declared))
    ended = run_py(*SWEEP, folder=checkout)
    assert ended.code == 0, ended.err
    experiment = experiments.load("tiny", checkout / "conf" / "experiment")
    made = found(checkout / "runs")
    tuning = {run.digest: run for run in experiment.tuning_runs("smoke")}
    plans = {record["plan"]["digest"]: record["plan"] for record in made.values()}
    assert tuning.keys() <= plans.keys() and len(plans) == len(made) >= len(tuning) + 2
    by_digest = {record["plan"]["digest"]: record for record in made.values()}
    planned = [run for phase in experiment.phases("smoke", lambda run: by_digest.get(run.digest)) for run in phase.runs]
    assert plans.keys() == {run.digest for run in planned}
    for run in planned:
        plan = plans[run.digest]
        assert (plan["experiment"], plan["tier"], plan["arm"], plan["task"]) == ("tiny", "smoke", run.arm, run.task)
        assert (plan["role"], plan["rate"], plan["seed"]) == (run.role, run.rate, run.seed)
    assert all(record["claims"] == ["C13", "C24"] for record in made.values())
    done = f"done: {len(planned)} finished, 0 diverged, 0 failed, 0 without a record"
    assert done in ended.err

    before = when_written(checkout / "runs")
    again = run_py(*SWEEP, folder=checkout)
    assert again.code == 0 and done in again.err
    assert when_written(checkout / "runs") == before


def test_a_failing_arm_does_not_stop_a_sweep(run_py, checkout, monkeypatch):
    def broken(*_):
        raise RuntimeError("an arm with a mistake")

    with monkeypatch.context() as mistake:
        mistake.setattr(Identity, "forward", broken)
        ended = run_py(*SWEEP, folder=checkout)
    assert ended.code == 1
    made = found(checkout / "runs")
    by_arm = {arm: [r["status"] for r in made.values() if r["plan"]["arm"] == arm] for arm in ("attention", "identity")}
    assert by_arm == {"attention": ["finished"] * 3, "identity": ["failed"]}
    failed = [name for name, record in made.items() if record["status"] == "failed"]
    for name in failed:
        assert f"  failed: {name}: RuntimeError: an arm with a mistake" in ended.err
    assert run_py(*SWEEP, folder=checkout).code == 1  # not tried again in silence
    mended = run_py(*SWEEP, "retry_failed=true", folder=checkout)
    assert mended.code == 0 and "done: 6 finished" in mended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["experiment=tiny", "tier=huge"], "error: "),
        (["experiment=tiny", "tier=full"], "error: tiny.yaml: no tier 'full'; it declares smoke, core"),
        (["experiment=tiny", "model.width=16,32"], "error: model.width=16,32: an experiment declares its axes; "),
    ],
)
def test_a_sweep_that_cant_be_meant_is_refused_in_one_line(run_py, checkout, arguments, said):
    """More that is refused: AT_ONCE, and tests/test_sweeping.py."""
    ended = run_py("-m", *arguments, "tracking.mode=off", "runs=runs", folder=checkout)
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith(said)
    assert not (checkout / "runs").exists()


def test_several_experiments_or_all_in_one_sweep(run_py, checkout):
    folder = checkout / "conf" / "experiment"
    for path in folder.glob("*.yaml"):
        if path.stem != "tiny":
            path.unlink()
    (folder / "other.yaml").write_text((folder / "tiny.yaml").read_text().replace("name: tiny", "name: other"))
    for names, done in (("tiny,other", 0), ("all", 6)):  # the same runs
        ended = run_py("-m", f"experiment={names}", *SWEEP[2:], "sweep.arms=[identity]", folder=checkout)
        assert ended.code == 0
        assert f"{done} done" in ended.err and "done: 6 finished" in ended.err
        made = [record["plan"]["experiment"] for record in found(checkout / "runs").values()]
        assert sorted(made) == ["other"] * 3 + ["tiny"] * 3


# --- processes of their own ---------------------------------------------------------------------------------------------


def end(process, seconds=120):
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"still running after {seconds} s:\n{out}\n{err}")


def test_two_launches_at_once_train_each_run_once_and_ask_wandbs_server_once_each(checkout, wandb_server, monkeypatch):
    """One after another in one process, and two at once under joblib; W&B's files tell how often a run was begun."""
    monkeypatch.setenv("WANDB_MODE", "online")
    wandb_server.manner = "refuse"
    sweep = ["-m", "experiment=tiny", "tier=smoke", "runs=runs", "sweep.arms=[attention]", "tracking.mode=online"]
    both = [start("run.py", *sweep, *more, cwd=checkout) for more in ([], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"])]
    said = [end(process)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert all("done: 3 finished, 0 diverged, 0 failed, 0 without a record" in text for text in said)
    assert [text.count("W&B can't be used online") for text in said] == [1, 1] and wandb_server.requests == 2
    made = found(checkout / "runs")
    assert len(made) == 3 and all(record["status"] == "finished" for record in made.values())
    begun = [path.stem.removeprefix("run-") for path in (checkout / "runs" / "wandb").glob("offline-run-*/*.wandb")]
    assert sorted(begun) == sorted(made)


LONG = ["runs=runs", "trainer.checkpoint_every=10"]
SINGLE = """
    task=recall task.length=8 model.width=16 model.ffn_width=64 train.steps=20000 train.batch=4 train.evaluate_every=20
    evaluation.validation_items=8 train.stop_when_solved=false
""".split()
DECLARED = ["-m", "experiment=tiny", "tier=core", "train.stop_when_solved=false"]


JOBLIB = [*DECLARED, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
ONE_ARM = "sweep.arms=[attention]"
TERMINAL = "SIGINT to the whole group, as a terminal sends it"


def wait_for_checkpoints(folder, count, process=None):
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*/last.ckpt"))) < count:
        assert time.monotonic() < deadline and (process is None or process.poll() is None)
        time.sleep(0.05)


def check_interrupted(ended, checkout, arguments, runs):
    folder = checkout / "runs"
    assert ended.code == 1, ended
    if "-m" in arguments:
        planned = 1 if ONE_ARM in arguments else 2
        left = f"0 finished, 0 diverged, 0 failed, {planned} without a record"
        assert f"interrupted; the same command goes on: {left}" in ended.err
    else:
        assert ended.err.splitlines()[-1] == "interrupted; the same command goes on from the last checkpoint"
    assert "Traceback" not in ended.err + ended.out
    assert not list(folder.glob(f"*/{records.NAME}"))
    assert len(list(folder.glob("*/last.ckpt"))) == runs
    tracked = sorted((folder / "wandb").glob("offline-run-*/*.wandb"))
    assert len(tracked) == runs  # nothing else was begun
    for path in tracked:  # and each is closed, as one that did not end well
        inspected = python("-m", "wandb", "leet", "inspect", "--json", str(path), cwd=checkout)
        last = json.loads(inspected.stdout.splitlines()[-1])
        assert (last["type"], last["exit"]["exit_code"]) == ("exit", 1)


@pytest.mark.parametrize(
    ("arguments", "number"),
    [(SINGLE, signal.SIGTERM), (DECLARED, signal.SIGINT)],
    ids=["single SIGTERM", "sweep SIGINT"],  # a single one by SIGINT: below
)
def test_interrupted_it_closes_its_run_and_can_be_gone_on_with(run_py, checkout, arguments, number):
    def interrupt():
        wait_for_checkpoints(checkout / "runs", 1)
        os.kill(os.getpid(), number)

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    thread = threading.Thread(target=interrupt)
    thread.start()
    ended = run_py(*arguments, *LONG, folder=checkout)
    thread.join()
    check_interrupted(ended, checkout, arguments, 1)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(
    ("arguments", "how", "runs"),
    [(SINGLE, TERMINAL, 1), ([*JOBLIB, ONE_ARM], TERMINAL, 1), (JOBLIB, "SIGTERM", 2)],
    ids=["single SIGINT", "joblib SIGINT", "joblib SIGTERM"],
)
def test_interrupted_from_outside_it_takes_its_workers_along(checkout, arguments, how, runs):
    process = start("run.py", *arguments, *LONG, cwd=checkout, session=True)
    wait_for_checkpoints(checkout / "runs", runs, process)
    if how == TERMINAL:
        os.killpg(process.pid, signal.SIGINT)
    else:
        os.kill(process.pid, signal.SIGTERM)
    out, err = end(process, 60)
    check_interrupted(Ended(process.returncode, out, err), checkout, arguments, runs)
    deadline = time.monotonic() + 20  # the process of W&B ends when its input does, a moment later
    while (left := processes_in(checkout)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def processes_in(folder):
    """Processes that still work in the folder."""
    left = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if path.readlink() == folder and b"wandb-core" not in (path.parent / "cmdline").read_bytes():
                left.append((path.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return left
