"""A plain grid says how far it is, and what it found."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from study import records, schema
from study.grid import Grid

JOBS = [
    ["task=recall", "mixer=attention", "seed=0"],
    ["task=recall", "mixer=lstm", "seed=0"],
    ["task=recall", "mixer=lstm", "seed=1"],
]
SCORES = {"validation": {"accuracy": 0.5}, "test": {"accuracy": 0.25, "bleu": 7.0}}
RECORD = {"status": "finished", "metric": "accuracy", "decoded": ["bleu"], "metrics": SCORES, "steps": 40, "seconds": 3.2}


@pytest.fixture
def grid(compose, tmp_path):
    configs = [compose(*job, f"runs={tmp_path}") for job in JOBS]
    made = Grid(JOBS, configs)
    made.files_of = [tmp_path / schema.name(config) / records.NAME for config in configs]
    return made


def test_it_counts_records(grid, monkeypatch):
    for path in grid.files_of:
        path.parent.mkdir()
    grid.files_of[0].touch()
    monkeypatch.setattr("study.grid.time.monotonic", lambda: grid.started + 6)
    state = grid.look()
    assert (state.done, state.planned, state.unit) == (1, 3, "runs") and state.seconds == pytest.approx(12)


def test_its_table_has_what_differs_and_what_was_found(grid):
    outcomes = [
        SimpleNamespace(state="finished", record=RECORD, error=None),
        SimpleNamespace(state="diverged", record={"status": "diverged"}, error="Diverged: no finite number"),
        SimpleNamespace(state="failed", record=None, error="No space left"),
    ]
    console = Console(file=io.StringIO(), width=140)
    console.print(grid.table(outcomes))
    head, first, second, third = (line.split() for line in console.file.getvalue().splitlines())
    assert head == "mixer seed validation accuracy test accuracy test bleu steps seconds".split()
    assert first == "attention 0 0.5000 0.2500 7.0000 40 3".split()
    assert second == "lstm 0 diverged: Diverged: no finite number".split()
    assert third == "lstm 1 failed: No space left".split()
