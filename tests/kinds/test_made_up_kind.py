"""A kind of task is five files put beside the study, in the folder ``made_up``, and no edit to anything else."""

import json
import shutil
from pathlib import Path

import pytest

from tests.processes import SAY, python

ROOT = Path(__file__).parents[2]
MADE_UP = Path(__file__).parent / "made_up"
SMALL = ["train.steps=400", "tracking.mode=off", "evaluation.test_items=500", "runs=runs", "seed=1"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the project with one kind more."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("study", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "run.py", folder)
    added = [path.relative_to(MADE_UP) for path in MADE_UP.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert len(added) == 5 and not any((folder / path).exists() for path in added), "they are put beside, not over"
    for path in added:
        shutil.copy(MADE_UP / path, folder / path)
    return folder


@pytest.fixture
def run_py(checkout):
    return lambda *arguments: python("run.py", *arguments, cwd=checkout)


def test_it_trains_and_its_record_says_what_it_found(checkout, run_py):
    done = run_py("task=greatest", "architecture=perceptron", *SMALL)
    assert done.returncode == 0, done.stderr
    [path] = checkout.glob("runs/*/record.json")
    record = json.loads(path.read_text())
    assert (record["kind"], record["status"]) == ("vectors", "finished")
    assert record["metrics"]["test"]["accuracy"] > 0.8 > record["chance"] == 0.25
    assert record["parameters"] == {"embedding": 64 * 4 + 4, "other": 4 * 64 + 64}
    assert record["multiply_adds_per_answer"] == 2 * 4 * 64
    assert len(record["written"]["test"]["vector"]) == 4
    assert record["diagnostics"] == {} and "structure" not in record and "ffn_width" not in record


MISTAKES = {
    "task=greatest": "architecture=encoder answers tokens, but task=greatest is a task of vectors: use architecture=perceptron",
    "task=recall architecture=perceptron": "architecture=perceptron answers vectors, but task=recall is a task of tokens",
    "task=greatest architecture=perceptron model.width=3": "model.width=3: less than the vector has; use 4 or more",
    "task=greatest architecture=perceptron measure=cost cost.sizes=[8]": "cost.sizes can't be measured on a task of vectors",
    "task=greatest architecture=perceptron task.entries=x": "task.entries=x: must be of type int",
    "task=greatest architecture=perceptron mixer=lstm": "architecture=perceptron has no mixer: leave it at its default",
}


def test_its_mistakes_are_answered_like_any_other(checkout):
    asked = [f"{command} {' '.join(SMALL)}" for command in MISTAKES]
    done = python("-c", SAY, json.dumps(asked), cwd=checkout)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()[: len(asked)]]
    for (_, printed, line), said in zip(answers, MISTAKES.values(), strict=True):
        assert printed == "" and line.startswith(f"error: {said}") and line.count("\n") == 1


def test_the_help_has_its_keys(run_py):
    assert "slope: 0.0 # below 0" in run_py("--help", "architecture").stdout
