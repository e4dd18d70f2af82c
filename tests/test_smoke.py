"""``make smoke``, narrowed to one cell of each experiment: tuned, trained, and analysed together.

The runs are made one after another without Hydra's launcher, which takes as long as they do: tests/test_run_command_line.py.
Figures of each kind are drawn, as drawing takes long, too; those of every experiment: tests/analysis/test_figures.py. The page
of all experiments: tests/analysis/page.
"""

import pytest

from analysis.__main__ import main
from study import experiments, parts, records
from study.sweeping import Sweep
from study.training.runner import execute

pytestmark = pytest.mark.slow


def a_cell(experiment):
    """The first whose task needs no file; None where all do."""
    for cell in experiment.cells("smoke"):
        if "root" not in parts.keywords("task", experiment.settings("smoke", cell)["task"]):
            return cell
    return None


def kinds_of_figure(experiment):
    kind = experiment.figure.get("kind")
    return kind if isinstance(kind, list) else [kind]


def test_every_experiment_can_be_launched_and_analysed(compose, tmp_path):
    declared = {name: experiments.load(name) for name in experiments.names()}
    cells = {name: cell for name, experiment in declared.items() if (cell := a_cell(experiment))}
    assert len(cells) >= len(declared) - 1
    narrow = [declared[name].narrowed([arm], [task], {}, [0]) for name, (arm, task) in cells.items()]

    def launch(jobs):
        return [execute(compose(*overrides)) for overrides in jobs]

    given = {"runs": str(tmp_path / "runs"), "tracking.mode": "off"}
    assert Sweep(narrow, "smoke", given, lambda overrides: compose(*overrides), launch).run() == 0
    made = list(records.load_runs(tmp_path / "runs"))
    trained = {(one["plan"]["experiment"], one["plan"]["arm"], one["plan"]["task"]) for one in made if one["plan"]["seed"] == 0}
    assert trained == {(name, *cell) for name, cell in cells.items()}

    options = ["--tier", "smoke", "--source", str(tmp_path / "runs"), "--output", str(tmp_path / "out")]
    assert main(["tables", *options]) == 0
    assert all((tmp_path / "out" / "smoke" / "tables" / f"{name}.md").exists() for name in cells)
    drawn = {kind: name for name in cells for kind in kinds_of_figure(declared[name])}.values()
    assert main(["figures", *options, *(word for name in drawn for word in ("--experiment", name))]) == 0
    assert all((tmp_path / "out" / "smoke" / "figures" / f"{name}.svg").exists() for name in drawn)
