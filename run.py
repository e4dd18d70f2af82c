"""Train one model (``python run.py``) or launch a declared experiment (``python run.py -m experiment=heads tier=core``)."""

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come here, to be printed in one line

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from study import experiments, launching, schema
from study.help import after, asked, explain, refuse_flags
from study.progress import Display, State

schema.register()
launching.register()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def train(config: DictConfig):
    os.chdir(HydraConfig.get().runtime.cwd)  # a worker on another node begins elsewhere
    overrides = list(HydraConfig.get().overrides.task)
    alone = HydraConfig.get().mode.name == "RUN"
    try:
        if alone:
            if named := HydraConfig.get().runtime.choices["experiment"]:
                experiments.refuse_single(named)
            launching.refuse_single(HydraConfig.get().runtime.choices["hydra/launcher"])
        outcome = carry_out(config, shlex.join(["python", "run.py", *overrides]), alone)
    except (ValueError, OSError, HydraException, OmegaConfBaseException) as error:
        if alone:
            sys.exit(explain(error))  # here, since Hydra would say a line of its own first
        raise
    if alone:
        print("\n".join([outcome.line(), *after(config, outcome.name, outcome.state)]))
        if outcome.state != "finished":
            sys.exit(1)
    return outcome


def carry_out(config: DictConfig, command: str, alone: bool):
    """Train or measure. Imports come as late as they can: what is refused should not wait for torch, Lightning or W&B."""
    if alone:  # a sweep has done this for all its runs
        schema.check(config)
        schema.check_folder(config, schema.name(config))
        display = Display()
        if display.console.is_terminal:
            display.say(f"{schema.name(config)}: loading torch")  # which takes seconds
        from study.training.build import validate

        validate(config)
        from study.training.bar import Bar

        with display.shown():
            if display.console.is_terminal:
                display.show(State("starting", 0, config.train.steps, "steps"))
            return execute(config, command, [Bar(display)])
    return execute(config, command)


def execute(config: DictConfig, command: str, watchers: Sequence[Any] = ()):
    from study.training import runner

    return runner.execute(config, config.sweep.wait, command, watchers)


if __name__ == "__main__":
    try:
        if page := asked(sys.argv[1:]):
            print(page)
        else:
            refuse_flags(sys.argv[1:])
            train()
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from the last checkpoint")
    except Exception as error:
        sys.exit(explain(error))
