"""Saved views of an experiment in W&B: they choose, group and name what runs log, and the same command replaces them."""

import json
import sys

import pytest
import yaml

from study import experiments, wandb_views
from study.metrics import METRICS
from study.training import tracking
from study.training.runner import execute
from tests.conftest import EXPERIMENT
from tests.wandb_server import KEY

pytestmark = pytest.mark.slow

PLAN = {"experiment", "tier", "role", "task", "arm", "rate", "seed"}  # of a run: all that its config can differ in
COPY = {"label": "copy", "set": {"task": "copy", "task.length": 6, "train.steps": 4, "train.evaluate_every": 2}}
COST = {"label": "a layer", "measure": "cost", "set": {"task": "recall"}}


@pytest.fixture
def library():
    """The workspaces' module, where the extra is installed."""
    return pytest.importorskip("wandb_workspaces.workspaces", reason="wandb-workspaces is not installed")


@pytest.fixture
def tiny_one(tmp_path, monkeypatch):
    """The experiment ``tiny`` with two tasks and a measurement, in a folder of its own."""
    (folder := tmp_path / "experiment").mkdir()
    tasks = {**EXPERIMENT["tasks"], "copy": COPY, "cost": COST}
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**EXPERIMENT, "tasks": tasks}, sort_keys=False))
    monkeypatch.setattr(experiments, "FOLDER", folder)
    return experiments.load("tiny")


def panels(view):
    sections = json.loads(view["spec"])["section"]["panelBankConfig"]["sections"]
    return [panel for section in sections for panel in section["panels"]]


def runset(view):
    """What a view filters by, and the config keys that it groups by."""
    (found,) = json.loads(view["spec"])["section"]["runSets"]
    filters = found["filters"]["filters"]
    assert {each["op"] for each in filters} == {"="} and {each["connector"] for each in filters[1:]} == {"AND"}
    assert {key["section"] for key in [*(each["key"] for each in filters), *found["grouping"]]} == {"config"}
    return {each["key"]["name"]: each["value"] for each in filters}, [key["name"] for key in found["grouping"]]


def test_views_choose_group_and_name_what_a_run_logs(library, no_session, tiny_one, wandb_server, compose, tmp_path, capsys):
    run = tiny_one.verdict_runs("smoke", {("attention", "recall"): 0.003})[0]
    named = {"experiment": "tiny", "arm": run.arm, "task": run.task, "role": run.role}
    origin = [f"origin.{key}={value}" for key, value in named.items()]
    record = execute(compose(*run.overrides, *origin, "tracking.mode=online", f"runs={tmp_path}")).record
    wandb_server.runs.append(record["name"])
    assert wandb_views.main(["experiment=tiny", "tier=smoke"]) == 0
    views = {view["displayName"]: view for view in wandb_server.views.values()}
    assert list(views) == ["tiny, smoke", "tiny, smoke: recall", "tiny, smoke: copy"]
    assert {(view["entityName"], view["projectName"]) for view in views.values()} == {("team", "attention-study")}

    config = wandb_server.configs[record["name"]]
    own = {f"{key}.value": item["value"] for key, item in config.items() if key in PLAN}
    for name, view in views.items():
        common, grouped = runset(view)
        assert (common.items() <= own.items()) == (name != "tiny, smoke: copy")
        assert {*common, *grouped} == own.keys() - {"seed.value"} and len(own) == len(PLAN)
    history = {key for row in wandb_server.uploaded for key in row}
    summary = {key for found in wandb_server.summaries for key in found}
    for panel in panels(views["tiny, smoke: recall"]):
        shown = panel["config"]
        match panel["viewType"]:
            case "Run History Line Plot":
                assert {shown["xAxis"], *shown["metrics"]} <= history
            case "Bar Chart":
                assert {*shown["metrics"]} <= summary
            case "Media Browser":
                assert {*shown["mediaKeys"]} <= history
            case other:
                raise AssertionError(other)
    assert [line.split(": http")[0] for line in capsys.readouterr().out.splitlines()] == list(views)


def test_help_says_how_it_is_used(capsys):
    assert wandb_views.main(["-h"]) == 0 and "experiment=NAME tier=TIER" in capsys.readouterr().out


def test_a_curve_and_a_bar_are_an_arms_seeds_together(library):
    """Of all that are drawn: the mean of a group, in the range of its runs; and no arm is left out."""
    heads = experiments.load("heads")
    for view in wandb_views.views(heads, "core", "team", "study"):
        section = view._spec["spec"]["section"]
        assert section["settings"]["useRunsTableGroupingInPanels"]
        drawn = [p["config"] for s in section["panelBankConfig"]["sections"] for p in s["panels"] if "metrics" in p["config"]]
        assert len(drawn) > 5 and {(each["groupAgg"], each["groupArea"]) for each in drawn} == {("mean", "minmax")}
        assert min(section["settings"]["maxRuns"], *(each["limit"] for each in drawn)) >= len(heads.cells("core"))


def test_runs_of_one_group_differ_in_nothing_but_the_seed(library):
    heads = experiments.load("heads")
    runs = heads.verdict_runs("core", dict.fromkeys(heads.cells("core"), 0.003))
    groups = {}
    for view in wandb_views.views(heads, "core", "team", "study"):
        common, grouped = runset({"spec": json.dumps(view._spec["spec"])})
        for run in runs:
            if all(getattr(run, key.removesuffix(".value")) == value for key, value in common.items()):
                group = (view.name, *(getattr(run, key.removesuffix(".value")) for key in grouped))
                groups.setdefault(group, []).append({**run.settings, "seed": None})
    assert len(groups) == 2 * len(heads.cells("core"))  # in the view of all tasks, and in that of its own
    for settings in groups.values():
        assert len(settings) == len(heads.sizes("core").verdict_seeds) and all(each == settings[0] for each in settings)


def test_every_experiment_that_trains_has_its_views(library):
    names = []
    for experiment in map(experiments.load, experiments.names()):
        made = list(wandb_views.views(experiment, "core", "team", "study"))
        tasks = [task for task in experiment.sizes("core").tasks if experiment.tasks[task].measure == "training"]
        assert len(made) == len(tasks) + (len(tasks) > 1)
        names += [view.name for view in made]
        for task, view in zip(tasks, made[-len(tasks) :], strict=False):
            shown = [metric for panel in view.sections[1].panels for metric in panel.metrics]
            assert shown[0] == f"test/{experiment.tasks[task].metric}" and shown[0].removeprefix("test/") in METRICS
    assert names and len(names) == len(set(names))


def test_the_same_command_replaces_its_views(library, no_session, tiny_one, wandb_server, capsys):
    wandb_server.runs.append("one")
    said = []
    for _ in range(2):
        assert wandb_views.main(["experiment=tiny", "tier=smoke", "tracking.entity=team"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] and len(wandb_server.views) == 3
    assert wandb_server.asked.count("UpsertView2") == 6
    read = [library.Workspace.from_url(line.split(": ")[-1]).name for line in said[0].splitlines()]
    assert read == ["tiny, smoke", "tiny, smoke: recall", "tiny, smoke: copy"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name an experiment\n"),
        (["experiment=haeds"], "no experiment 'haeds'; did you mean"),
        (
            ["experiment=heads", "sweep.tasks=[mqar]"],
            "sweep.tasks: a view shows all runs of its experiment, so leave that out\n",
        ),
        (["experiment=heads", "tracking.projetc=x"], "no key tracking.projetc here; did you mean tracking.project?"),
        (["experiment=speed"], "experiment=speed trains nothing and has no curves; see the page: python -m analysis\n"),
    ],
)
def test_what_cant_be_meant_is_refused(capsys, arguments, said):
    assert wandb_views.main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"error: {said}")


def test_without_the_extra_it_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert wandb_views.main(["experiment=heads"]) == 1
    need = 'views need the library wandb-workspaces: pip install -c constraints.txt ".[views]"'
    assert capsys.readouterr() == ("", f"error: {need}\n")


@pytest.mark.parametrize(
    ("key", "mode", "manner", "said"),
    [
        ("", "online", "answer", "needs a W&B key; run wandb login, or set WANDB_API_KEY"),
        ("short", "online", "answer", "run wandb login, or set WANDB_API_KEY"),
        (KEY, "offline", "answer", "W&B is offline; leave out tracking.mode and unset WANDB_MODE"),
        (KEY, "online", "refuse", "invalid key; see to network and key, and say this again"),
        (KEY, "online", "hang", "no answer within 1 s; see to network and key, and say this again"),
        (KEY, "online", "no project", "is there a project attention-study, and may the key write to it?"),
    ],
)
def test_what_the_server_needs_is_one_line_with_the_mend(
    library, no_session, tiny_one, wandb_server, monkeypatch, capsys, key, mode, manner, said
):
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_MODE", mode)
    if manner == "no project":
        wandb_server.runs = None
    else:
        wandb_server.manner = manner
    if manner == "hang":
        monkeypatch.setattr(tracking, "PATIENCE", 1)
    assert wandb_views.main(["experiment=tiny", "tier=smoke"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and err.startswith("error: ") and err.endswith(f"{said}\n")
    assert wandb_server.views == {}
