"""Hydra's launchers: which there are, and how a scheduler is asked for GPUs."""

from __future__ import annotations

import difflib

from omegaconf import OmegaConf

LAUNCHERS = {
    "basic": "one run after another",
    "joblib": "one process per core, one run in each",
    "slurm": "each run a job of a Slurm cluster",
    "ray_cluster": "each run a task of a Ray cluster",
}
PLUGINS = {"submitit_slurm": "slurm", "submitit_local": "slurm", "ray": "ray"}  # of Hydra, and the extra that installs each


def register() -> None:
    """Make the resolver ``${whole_gpus:...}`` known to Hydra's configs."""
    OmegaConf.register_new_resolver("whole_gpus", whole_gpus, replace=True)


def whole_gpus(gpus: float) -> int | None:
    """GPUs of a Slurm job; None asks for none. Raises ``ValueError`` for a part of one."""
    if gpus not in (0, 1):
        raise ValueError(
            f"trainer.gpus={gpus}: Slurm gives a job whole GPUs: use trainer.gpus=1; runs that share one go side by side in "
            f"a job of your own, by hydra/launcher=joblib hydra.launcher.n_jobs={round(1 / gpus) if gpus > 0 else 1}"
        )
    return int(gpus) or None


def refuse_single(launcher: str) -> None:
    """Raises ``ValueError`` for a launcher of several runs: without ``-m`` it would be ignored."""
    if launcher != "basic":
        raise ValueError(f"hydra/launcher={launcher} launches several runs, which takes -m; leave it out for a single one")


def fix(launcher: str) -> str:
    """What to do where Hydra knows no such launcher."""
    if extra := PLUGINS.get(launcher):
        return f'this launcher needs its plugin: pip install -c constraints.txt ".[{extra}]"'
    close = difflib.get_close_matches(launcher, LAUNCHERS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"no hydra/launcher={launcher}; {hint}there are {', '.join(LAUNCHERS)}"
