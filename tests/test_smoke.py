"""``make smoke``, narrowed to one cell of each experiment: tuned, trained, and analysed together."""

import pytest

from analysis.__main__ import main
from study import experiments, parts, records

pytestmark = pytest.mark.slow


def a_cell(experiment):
    """The first whose task needs no file; None where all do."""
    for cell in experiment.cells("smoke"):
        if "root" not in parts.keywords("task", experiment.settings("smoke", cell)["task"]):
            return cell
    return None


def test_every_experiment_can_be_launched_and_analysed(run_py, monkeypatch, tmp_path):
    declared = {name: experiments.load(name) for name in experiments.names()}
    cells = {name: cell for name, experiment in declared.items() if (cell := a_cell(experiment))}
    assert len(cells) >= len(declared) - 1
    with monkeypatch.context() as narrow:  # a sweep over several experiments can't name arms of each
        one = {name: declared[name].narrowed([arm], [task], {}, [0]) for name, (arm, task) in cells.items()}
        narrow.setattr(experiments, "names", lambda: sorted(one))
        narrow.setattr(experiments, "load", one.__getitem__)
        ended = run_py("-m", "experiment=all", "tier=smoke", f"runs={tmp_path / 'runs'}", "tracking.mode=off")
    assert ended.code == 0, ended.err
    made = list(records.load_runs(tmp_path / "runs"))
    trained = {(one["plan"]["experiment"], one["plan"]["arm"], one["plan"]["task"]) for one in made if one["plan"]["seed"] == 0}
    assert trained == {(name, *cell) for name, cell in cells.items()}

    assert main(["--tier", "smoke", "--source", str(tmp_path / "runs"), "--output", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert all(one["id"] in page for one in made)
    for name in cells:
        assert (tmp_path / "out" / "smoke" / "tables" / f"{name}.md").exists()
        assert (tmp_path / "out" / "smoke" / "figures" / f"{name}.svg").exists()
