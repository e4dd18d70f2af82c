"""``make smoke``, narrowed to one cell of each experiment: tuned, trained, and analysed together."""

import pytest

from analysis.__main__ import main
from study import experiments, records
from study.training.build import validate

pytestmark = pytest.mark.slow


def a_cell(name, compose):
    """The first that needs no file that is not here."""
    experiment = experiments.load(name)
    for run in experiment.tuning_runs("smoke") or experiment.verdict_runs("smoke", {}):
        try:
            validate(compose(*run.overrides, "data.download=false"))
        except FileNotFoundError:
            continue
        return run.cell
    return None


def test_every_experiment_can_be_launched_and_analysed(run_py, compose, tmp_path):
    cells = {name: cell for name in experiments.names() if (cell := a_cell(name, compose))}
    assert len(cells) >= len(experiments.names()) - 1
    for name, (arm, task) in cells.items():
        narrow = [f"sweep.arms=[{arm}]", f"sweep.tasks=[{task}]", "sweep.seeds=[0]"]
        ended = run_py("-m", f"experiment={name}", "tier=smoke", *narrow, f"runs={tmp_path / 'runs'}", "tracking.mode=off")
        assert ended.code == 0, (name, ended.err)
    made = list(records.load_runs(tmp_path / "runs"))
    trained = {(one["plan"]["experiment"], one["plan"]["arm"], one["plan"]["task"]) for one in made if one["plan"]["seed"] == 0}
    assert trained == {(name, *cell) for name, cell in cells.items()}

    assert main(["--tier", "smoke", "--source", str(tmp_path / "runs"), "--output", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert all(one["id"] in page for one in made)
    for name in cells:
        assert (tmp_path / "out" / "smoke" / "tables" / f"{name}.md").exists()
        assert (tmp_path / "out" / "smoke" / "figures" / f"{name}.svg").exists()
