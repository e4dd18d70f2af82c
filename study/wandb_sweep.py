"""A declared experiment as a W&B sweep: ``python -m study.wandb_sweep experiment=heads tier=core > sweep.yaml``.

The definition holds the runs of the next phase that have no record; ``wandb sweep sweep.yaml`` hands it to the server, and
``wandb agent`` carries it out on as many machines as one starts it on. All else is said as to ``python run.py -m``.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from study.composing import CONF, Composer, asked, load
from study.help import explain
from study.sweeping import Sweep

RUN = "run"  # the sweep's one parameter: the overrides of a planned run
USAGE = """\
python -m study.wandb_sweep experiment=NAME tier=TIER [KEY=VALUE ...]    prints a sweep definition, for wandb sweep
python -m study.wandb_sweep run='KEY=VALUE ...'                          makes one run of it: wandb agent says this"""


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"--help", "-h"} & {*arguments}:
        print(USAGE)
        return 0
    try:
        if len(arguments) == 1 and arguments[0].startswith(f"{RUN}="):
            given = shlex.split(arguments[0].removeprefix(f"{RUN}="))
            os.execv(sys.executable, [sys.executable, str(CONF.parent / "run.py"), *given])
        made = asked(OverridesParser.create().parse_overrides(list(arguments)))
        if made is None:
            raise ValueError(f"name an experiment\n{USAGE}")
        sweep = Sweep(*made, Composer(load), launch)
        phase, jobs = sweep.due()
    except Exception as error:
        print(explain(error), file=sys.stderr)
        return 1
    if not jobs:
        sweep.display.say("all runs have their record: nothing is left to sweep")
        return 1
    sys.stdout.write(definition(sweep, phase, [job.overrides for job in jobs]))
    return 0


def definition(sweep: Sweep, phase: str, runs: Sequence[Sequence[str]]) -> str:
    """The sweep as YAML: a grid over one parameter, as an experiment's runs are no product of values."""
    config = next(iter(sweep.cells.values()))
    names = ",".join(experiment.name for experiment in sweep.experiments)
    fields = {
        "name": f"{names}, {sweep.tier}: {phase}",
        "project": config.tracking.project,
        **({"entity": config.tracking.entity} if config.tracking.entity else {}),
        "program": "study/wandb_sweep.py",
        "method": "grid",
        "command": ["${env}", "${interpreter}", "-m", "study.wandb_sweep", "${args_no_hyphens}"],
        "parameters": {RUN: {"values": [shlex.join([*run, "tracking.mode=online"]) for run in runs]}},
    }
    entity = config.tracking.entity or "ENTITY"
    project = f"wandb:{entity}/{config.tracking.project}"
    head = f"""\
# {len(runs)} runs. wandb sweep FILE gives the line that starts an agent, on any machine with a checkout of this revision.
# Once all have ended, the next phase: python -m analysis collect --tier {sweep.tier} --source {project}
# and this command again, with sweep.committed=true
"""
    return head + yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=10_000)


def launch(jobs: Any) -> Any:
    raise AssertionError("a definition launches nothing")


if __name__ == "__main__":
    sys.exit(main())
