"""Train one model (``python run.py``) or launch a declared experiment (``python run.py -m experiment=heads tier=core``)."""

import os
import shlex
import sys

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come here, to be said in one line

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from study import launching, schema
from study.help import explain, register_help

schema.register()
launching.register()
register_help()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def train(config: DictConfig):
    from study.training.runner import execute

    os.chdir(HydraConfig.get().runtime.cwd)  # a worker on another node begins elsewhere
    mode = HydraConfig.get().mode.name
    command = shlex.join(["python", "run.py", *HydraConfig.get().overrides.task])
    if config.translate.run is not None:
        return write_out(config, HydraConfig.get().overrides.task)
    try:
        outcome = execute(config, wait=config.sweep.wait, command=command)
    except (ValueError, OSError) as error:
        if mode == "RUN":
            sys.exit(explain(error))  # here, since Hydra would say a line of its own first
        raise
    if config.origin.role == "single":
        print(outcome.line())
        if outcome.state != "finished" and mode == "RUN":
            sys.exit(1)
    return outcome


def write_out(config: DictConfig, overrides: list[str]) -> None:
    """Standard input, line by line, as the run named by ``translate.run`` answers it."""
    from study.training.translate import BATCH, translate

    if ignored := [given for given in overrides if not given.lstrip("+").startswith(("translate.", "search."))]:
        sys.exit(f"error: {' '.join(ignored)}: a finished run has its own; give translate.* and search.* alone")
    unread = 0
    try:
        for answer, complaint in translate(config, sys.stdin.buffer, 1 if sys.stdin.isatty() else BATCH):
            print(answer, flush=True)
            if complaint:
                unread += 1
                print(complaint, file=sys.stderr)
    except (ValueError, OSError) as error:
        sys.exit(explain(error))
    if unread:
        sys.exit(f"error: {unread} lines could not be read; their answers are empty")


if __name__ == "__main__":
    try:
        train()
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from the last checkpoint")
    except Exception as error:
        sys.exit(explain(error))
