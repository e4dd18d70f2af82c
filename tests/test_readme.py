"""Every command of the README: make targets exist, Python ones run (declared sweeps narrowed to one cell of the smoke tier)."""

import json
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from study import experiments
from tests.processes import python

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
SETS_UP = ("python3 -m venv", ". .venv", "pip install")
CLUSTERS = {"slurm": "hydra-submitit-launcher", "ray_cluster": "hydra-ray-launcher"}  # launchers that are extras


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    lines = [re.split(r"\s+#", line)[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(SETS_UP)]


def run(words: list[str], given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Of Python or another program, in the project's folder."""
    if words[0] == "python":
        return python(*words[1:], cwd=ROOT, given=given, **environment)
    if words[0] == "wandb":
        return python("-m", *words, cwd=ROOT)
    tool = Path(sys.executable).with_name(words[0])
    return subprocess.run([tool if tool.exists() else words[0], *words[1:]], cwd=ROOT, capture_output=True, text=True)


def test_readme_has_commands():
    assert len(commands()) > 15


def test_the_data_frame_is_that_of_the_records(capsys):
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    exec(block, {})
    mean, std, count = map(float, re.search(r"mqar +attention +(\S+) +(\S+) +(\d+)", capsys.readouterr().out).groups())
    lines = (ROOT / "results" / "core" / "records" / "dynamic.jsonl").read_text(encoding="utf-8").splitlines()
    runs = [run for run in map(json.loads, lines) if run["plan"]["role"] == "verdict" and run["plan"]["task"] == "mqar"]
    scores = [run["metrics"]["test"]["accuracy"] for run in runs if run["plan"]["arm"] == "attention"]
    assert (mean, std, count) == pytest.approx((statistics.mean(scores), statistics.stdev(scores), len(scores)), rel=1e-4)


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("python run.py")])
def test_run_command(command, run_py, tmp_path):
    words = shlex.split(command)[2:]
    for launcher, package in CLUSTERS.items():  # composed here, carried out in test_launchers.py
        if f"hydra/launcher={launcher}" in words:
            try:
                metadata.version(package)
            except metadata.PackageNotFoundError:
                pytest.skip(f"{package} is not installed")
            show = ["--cfg", "all", "--package", "hydra.launcher"]
            shown = run_py(*(word for word in words if word != "-m"), *show)
            assert shown.code == 0 and "_target_: hydra_plugins" in shown.out, shown.err
            return
    if "tracking.mode=online" in words:
        nobody = {"WANDB_API_KEY": "", "NETRC": str(tmp_path / "none"), "HOME": str(tmp_path)}
        refused = run(["python", "run.py", *words, f"runs={tmp_path}"], **nobody)
        assert refused.returncode != 0 and "needs a W&B key" in refused.stderr
        assert not list(tmp_path.glob("*/record.json"))
        return
    if "--help" in words:
        shown = run_py(*words)
        assert shown.code == 0 and "\n  mixer " in shown.out
        return
    declared = next((w.removeprefix("experiment=") for w in words if w.startswith("experiment=")), None)
    words = [w for w in words if not w.startswith(("tier=", "trainer=", "runs=", "hydra.launcher."))]
    if "hydra/launcher=joblib" in words:  # in processes of joblib's: test_run_command_line.py
        words.append("hydra.launcher.n_jobs=1")
    words += [f"runs={tmp_path}", "tier=smoke", "tracking.mode=off"]
    if declared:
        names = experiments.names() if declared == "all" else declared.split(",")
        words = [w for w in words if not w.startswith(("experiment=", "sweep."))]
        experiment = experiments.load(names[0])
        arm, task = experiment.cells("smoke")[0]
        words += [f"experiment={names[0]}", f"sweep.arms=[{arm}]", f"sweep.tasks=[{task}]", "sweep.seeds=[0]"]
        assert all(experiments.load(name).cells("core") for name in names)
    else:
        words += ["train.steps=2", "evaluation.test_items=1", "evaluation.validation_items=1"]
    done = run_py(*words)
    assert done.code == 0, done.err
    assert list(tmp_path.glob("*/record.json"))


def test_what_was_trained_translates(tmp_path):
    [translate] = [c for c in commands() if "study.translate" in c]
    [train] = [c for c in commands() if "trainer.keep_weights" in c]
    small = ["train.steps=2", "tier=smoke", "tracking.mode=off", f"runs={tmp_path}"]
    assert run([*shlex.split(train), *small]).returncode == 0
    [folder] = [path for path in tmp_path.iterdir() if (path / "weights.pt").exists()]
    said, _, command = translate.partition(" | ")
    command = command.replace("runs/NAME", str(folder)).replace("--pictures pictures", f"--pictures {tmp_path / 'pictures'}")
    done = run(shlex.split(command), given=shlex.split(said)[1])
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 and len(list((tmp_path / "pictures").iterdir())) == 1


@pytest.fixture(scope="module")
def smoke_runs(tmp_path_factory):
    """A folder of fresh runs, which the analysis reads and leaves as it is."""
    runs = tmp_path_factory.mktemp("fresh") / "runs"
    train = ["python", "run.py", "-m", "experiment=dynamic", "tier=smoke", f"runs={runs}", "tracking.mode=off"]
    assert run([*train, "sweep.arms=[static]", "sweep.tasks=[offset]"]).returncode == 0
    return runs


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("python -m analysis")])
def test_analysis_command(command, tmp_path, smoke_runs):
    """Committed records are those of one experiment here, as all of them take long."""
    words = shlex.split(command)
    if any(word.startswith("wandb:") for word in words):
        pytest.skip("needs a W&B project; its loader is tested in tests/analysis")
    if "--source" in words:
        words[words.index("--source") + 1] = str(smoke_runs)
        tier = words[words.index("--tier") + 1]
        words[words.index("--tier") + 1] = "smoke"
        assert tier in ("smoke", "core")
    committed = tmp_path / "core" / "records"
    committed.mkdir(parents=True)
    shutil.copy(ROOT / "results" / "core" / "records" / "dynamic.jsonl", committed)
    words += ["--results", str(tmp_path), "--readme", str(shutil.copy(ROOT / "README.md", tmp_path))]
    if "--source" in words and "collect" not in words:
        words += ["--output", str(tmp_path)]
    before = set(tmp_path.rglob("*"))
    done = run(words)
    if "again" in words:  # the smoke tier has nothing committed to hold them against
        assert done.returncode == 1 and "has no runs of a contrast on seeds of their own" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert {path.suffix for path in set(tmp_path.rglob("*")) - before} & {".csv", ".jsonl"}


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make ")])
def test_make_target(command):
    planned = run(["make", "--dry-run", "--always-make", *shlex.split(command)[1:]])
    assert planned.returncode == 0, planned.stderr
    assert "constraints.txt" in planned.stdout and "python" in planned.stdout


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith(("wandb ", "ruff", "mypy", "python -m pytest"))])
def test_tool_exists(command):
    """Those tools run elsewhere in the tests (or are this very run); here: the command and its words are known to them."""
    words = shlex.split(command)
    tool = words[:3] if words[0] == "python" else words[:2] if words[0] == "wandb" else words[:1]
    shown = run([*tool, "--help"])
    assert shown.returncode == 0, shown.stderr


def test_make_full_runs_every_experiment():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", "")
    [full] = re.findall(r"^FULL \?= (.*)$", makefile, re.M)
    assert sorted(full.split()) == experiments.names()


def test_commands_without_make_are_those_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n\t ", "")
    [study] = re.findall(r"^study:.*\n((?:\t.*\n)+)", makefile, re.M)
    lines = [" ".join(("python" + line.partition("/python")[2]).split()) for line in study.splitlines() if "/python" in line]
    assert len(lines) == 3 and set(lines) <= set(commands())
