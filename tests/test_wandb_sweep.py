"""A declared experiment as a W&B sweep: its grid is the phase that is due, run by run."""

import json
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from study import experiments, records, wandb_sweep
from study.composing import Composer, load
from tests.conftest import EXPERIMENT
from tests.processes import python
from tests.wandb_server import KEY

pytestmark = pytest.mark.slow


@pytest.fixture
def tiny_one(tmp_path, monkeypatch):
    """The experiment ``tiny`` with two learning rates, in a folder of its own."""
    folder = tmp_path / "experiment"
    folder.mkdir()
    smoke = {**EXPERIMENT["tiers"]["smoke"], "rates": [0.003, 0.01]}
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**EXPERIMENT, "tiers": {"smoke": smoke}}, sort_keys=False))
    monkeypatch.setattr(experiments, "FOLDER", folder)
    return experiments.load("tiny")


def grid(capsys, *arguments):
    """The overrides of each run of a definition that was printed."""
    assert wandb_sweep.main(arguments) == 0
    made = yaml.safe_load(capsys.readouterr().out)
    assert (made["method"], list(made["parameters"])) == ("grid", ["run"])
    return made, [shlex.split(run) for run in made["parameters"]["run"]["values"]]


def test_its_grid_is_the_experiments_phase_by_phase(tiny_one, tmp_path, capsys):
    """Runs are played by records; each definition names exactly those that ``Experiment.phases`` asks for next."""
    compose, done, phases = Composer(load), {}, []
    command = ["experiment=tiny", "tier=smoke", f"runs={tmp_path / 'runs'}"]
    while len(phases) < 4 and (phases == [] or "verdict" not in phases[-1]):
        made, runs = grid(capsys, *command)
        phases.append(made["name"])
        declared = list(tiny_one.phases("smoke", lambda run: done.get(run.digest)))
        planned = {run.digest for phase in declared for run in phase.runs} - done.keys()
        first = next(phase for phase in declared if {run.digest for run in phase.runs} - done.keys())
        configs = [compose(run) for run in runs]
        assert {config.origin.digest for config in configs} == {run.digest for run in first.runs} <= planned
        assert len(runs) == len(first.runs) and made["name"] == f"tiny, smoke: {first.name}"
        for run, config in zip(first.runs, configs, strict=True):
            assert (config.train.rate, config.seed, config.origin.arm) == (run.rate, run.seed, run.arm)
            assert (config.tracking.mode, config.runs) == ("online", str(tmp_path / "runs"))
            done[run.digest] = play(config)
    assert phases == [f"tiny, smoke: {phase}" for phase in ("tuning", "tuning past the edge", "verdict")]
    assert wandb_sweep.main(command) == 1 and "nothing is left" in capsys.readouterr().err


def play(config):
    """The record of a run that was best at the higher rate."""
    from omegaconf import OmegaConf

    from study import schema
    from tests.test_sweeping import BLANK, TRAINED

    origin = OmegaConf.to_container(config.origin)
    plan = {**{key: value for key, value in origin.items() if key != "claims"}, "tier": "smoke"}
    body = {**BLANK, **TRAINED, "name": schema.name(config), "id": schema.identity(config), "status": "finished"}
    body |= {"plan": plan | {"rate": config.train.rate, "seed": config.seed}, "config": schema.portable(config)}
    score = {0.003: 0.1, 0.01: 0.5}.get(config.train.rate, 0.2)
    folder = schema.Path(config.runs) / body["name"]
    folder.mkdir(parents=True)
    return records.write(folder, body | {"metrics": {"validation": {"accuracy": score}}})


def test_help_says_how_it_is_used(capsys):
    assert wandb_sweep.main(["--help"]) == 0 and "experiment=NAME tier=TIER" in capsys.readouterr().out


def test_a_part_of_an_experiment_of_the_study(capsys):
    _, runs = grid(capsys, "experiment=heads", "tier=core", "sweep.arms=[split_1,split_4]", "sweep.tasks=[mqar]")
    first = next(experiments.load("heads").narrowed(["split_1", "split_4"], ["mqar"]).phases("core", lambda run: None))
    assert runs and [set(run.overrides) <= set(given) for run, given in zip(first.runs, runs, strict=True)] == [True] * len(
        runs
    )


def test_an_agent_starts_a_run_as_the_definition_says(tiny_one, tmp_path, capsys, wandb_server):
    """W&B's own agent fills in the command; the run logs under the id that the sweep gave it, and has its record."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command_args  # takes seconds
    from wandb.sdk.lib import config_util

    made, _ = grid(capsys, "experiment=tiny", "tier=smoke", f"runs={tmp_path / 'runs'}")
    value = made["parameters"]["run"]["values"][0]
    asked = {"run": {"value": value}}
    config_util.save_config_file_from_dict(str(tmp_path / "asked.yaml"), asked)
    filled = create_sweep_command_args({"args": asked})["args_no_hyphens"]
    words = {"${env}": [], "${interpreter}": [sys.executable], "${args_no_hyphens}": filled}
    command = [each for word in made["command"] for each in words.get(word, [word])]
    given = {"WANDB_BASE_URL": wandb_server.url, "WANDB_API_KEY": KEY, "WANDB_SWEEP_ID": "s1", "WANDB_RUN_ID": "given1"}
    given["WANDB_SWEEP_PARAM_PATH"] = str(tmp_path / "asked.yaml")
    assert command[0] == sys.executable
    ended = python(*command[1:], cwd=Path.cwd(), **given)
    assert ended.returncode == 0, ended.stderr
    (record,) = records.load_runs(tmp_path / "runs")
    assert record["plan"]["digest"] in value and record["status"] == "finished"
    assert list(wandb_server.configs) == ["given1"]
    assert json.loads(wandb_server.files[f"record-{record['id']}/record.json"]) == record


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "error: name an experiment"),
        (["experiment=haeds"], "error: no experiment 'haeds'; did you mean"),
        (["experiment=heads", "tier=core", "seed=1"], "error: seed belongs to what experiment heads varies"),
        (["experiment=heads", "modle.width=3"], "error: no key modle.width here; did you mean model.width?"),
    ],
)
def test_what_cant_be_meant_is_refused(capsys, arguments, said):
    assert wandb_sweep.main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(said)
