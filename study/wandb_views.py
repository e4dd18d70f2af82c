"""Saved views of a declared experiment in W&B: ``python -m study.wandb_views experiment=heads tier=core``.

One of all its verdict runs and one of each task: curves and bars per arm, with the seeds drawn as one (their mean, and the
range of all of them). The same command again replaces them. Needs the extra ``views`` and a key.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from study import parts
from study.composing import asked, load
from study.experiments import Experiment
from study.help import explain
from study.metrics import METRICS

GROUPED = ("task", "arm", "rate")  # what tells the verdict runs of an experiment apart, but for the seed
COSTS = ("steps", "train_seconds", "peak_memory_bytes")
AT_MOST = 100  # lines or bars in a panel
USAGE = "python -m study.wandb_views experiment=NAME tier=TIER [tracking.entity=TEAM tracking.project=PROJECT]"


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"--help", "-h"} & {*arguments}:
        print(USAGE)
        return 0
    try:
        for name, address in save(arguments):
            print(f"{name}: {address}", flush=True)
    except Exception as error:
        print(explain(error), file=sys.stderr)
        return 1
    return 0


def save(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Keep the views on W&B's server: the name and the address of each. Raises ``ValueError`` that says what to do."""
    made = asked(OverridesParser.create().parse_overrides(list(arguments)))
    if made is None:
        raise ValueError(f"name an experiment\n{USAGE}")
    declared, tier, overrides = made
    if other := [key for key in overrides if key.partition(".")[0] != "tracking"]:
        raise ValueError(f"{', '.join(other)}: a view shows all runs of its experiment, so leave that out\n{USAGE}")
    config = load([f"tier={tier}", "tracking.mode=online", *(f"{key}={value}" for key, value in overrides.items())])
    if not any(trained(experiment, tier) for experiment in declared):
        raise ValueError(f"experiment={declared[0].name} trains nothing and has no curves; see the page: python -m analysis")
    try:
        import wandb_workspaces  # noqa: F401
    except ImportError:
        raise ValueError('views need the library wandb-workspaces: pip install -c constraints.txt ".[views]"') from None
    from study.training import tracking

    if (mode := tracking.mode_of(config)) != "online":
        raise ValueError(f"views are kept on W&B's server, and W&B is {mode}; leave out tracking.mode and unset WANDB_MODE")
    if why := tracking.lacks_key():
        raise ValueError(f"views are kept on W&B's server: {why}; run wandb login, or set WANDB_API_KEY")
    if why := tracking.gives_no_answer():
        raise ValueError(f"views are kept on W&B's server: {why}; see to network and key, and say this again")
    try:
        entity = config.tracking.entity or tracking.default_entity()
        for experiment in declared:
            for view in views(experiment, tier, entity, config.tracking.project):
                yield view.name, keep(view)
    except Exception as error:  # whatever W&B's client makes of what the server says
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{reason}; is there a project {config.tracking.project}, and may the key write to it?") from None


def trained(experiment: Experiment, tier: str) -> list[str]:
    """Tasks on which models are trained: all that W&B has curves of."""
    return [task for task in experiment.sizes(tier).tasks if experiment.tasks[task].measure == "training"]


def views(experiment: Experiment, tier: str, entity: str, project: str) -> Iterator[Any]:
    """One of all tasks, and one of each where there are several; none where nothing is trained."""
    tasks, name = trained(experiment, tier), f"{experiment.name}, {tier}"
    common = {"experiment": experiment.name, "tier": tier, "role": "verdict"}
    chosen = [(name, common, tasks)] if tasks else []
    if len(tasks) > 1:
        chosen += [(f"{name}: {task}", {**common, "task": task}, [task]) for task in tasks]
    for name, common, tasks in chosen:
        curves = dict.fromkeys(_learned(experiment, tier, task) for task in tasks)
        bars = dict.fromkeys(experiment.tasks[task].metric for task in tasks)
        yield _view(common, list(curves), list(bars), entity=entity, project=project, name=name)


def keep(view: Any) -> str:
    """Save it in place of the one that this made before, where there is one. Returns its address."""
    import wandb_workspaces.workspaces as ws

    # The library names views by chance, and would add one more each time.
    view._internal_name = f"nw-{hashlib.sha256(view.name.encode()).hexdigest()[:11]}-v"
    with suppress(ValueError):  # there is none
        view._internal_id = ws.Workspace.from_url(view.url)._internal_id
    return view.save().url


def _learned(experiment: Experiment, tier: str, task: str) -> str:
    """The metric of a task's learning curve."""
    settings = experiment.settings(tier, (experiment.tasks[task].arms[0], task))
    return parts.outline("task", settings["task"]).metric


def _view(common: Mapping[str, str], curves: Sequence[str], bars: Sequence[str], **place: Any) -> Any:
    """``common``: config keys whose values all its runs share; ``curves`` and ``bars``: metrics."""
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    from study.training.mirrored import MAPS, STEP

    seeds: Any = {"groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}

    def line(key: str, title: str) -> Any:
        return wr.LinePlot(title=title, x=STEP, y=[key], max_runs_to_show=AT_MOST, **seeds)

    def bar(key: str, title: str) -> Any:
        return wr.BarPlot(title=title, metrics=[key], max_runs_to_show=AT_MOST, max_bars_to_show=AT_MOST, **seeds)

    def setting(key: str) -> Any:
        return ws.Config(f"{key}.value")  # as the W&B app has it, where it saves a view

    learning = [line(f"validation/{metric}", f"validation: {METRICS[metric].label}") for metric in [*curves, "loss"]]
    results = [bar(f"test/{metric}", f"test: {METRICS[metric].label}") for metric in bars]
    training = ["learning_rate", "gradient_norm", "tokens_per_second"]
    return ws.Workspace(
        **place,
        sections=[
            ws.Section("curves", [*learning, line("train/loss", "training: loss in nats")], is_open=True),
            ws.Section("results", [*results, *(bar(key, key.replace("_", " ")) for key in COSTS)], is_open=True),
            ws.Section("training", [line(f"train/{key}", key.replace("_", " ")) for key in training]),
            ws.Section("attention", [wr.MediaBrowser(media_keys=[MAPS])]),
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=AT_MOST),
        runset_settings=ws.RunsetSettings(
            filters=ws.And(*(setting(key) == value for key, value in common.items())),
            groupby=[setting(key) for key in GROUPED if key not in common],
            pinned_columns=[f"summary:test/{metric}" for metric in bars],
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
