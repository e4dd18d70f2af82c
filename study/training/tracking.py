"""Weights & Biases as a mirror of the records: it may fail, the run may not."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

_said: set[str] = set()  # complaints already made by this process


class Tracker:
    """One W&B run, closed with its true exit state. ``mode=off`` makes every call a no-op.

    The W&B id is the run's readable name, since ``wandb leet`` lists runs by it.
    """

    def __init__(self, config: DictConfig, name: str, folder: Path):
        self.run: Any = None
        if config.tracking.mode == "off":
            return
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # else an offline run looks up a host name
        try:
            self.run = self._start(config, name, folder, config.tracking.mode)
        except Exception as error:
            if config.tracking.mode == "offline":
                self._give_up(error)
                return
            complain(f"W&B can't be reached ({_short(error)}); logging offline, upload later with wandb sync")
            try:
                self.run = self._start(config, name, folder, "offline")
            except Exception as second:
                self._give_up(second)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        if self.run is not None:
            self._attempt(lambda: self.run.log(dict(values), step=step))

    def summarise(self, record: Mapping[str, Any]) -> None:
        """Make the run's summary equal to the record (its config and curve are the run's config and history)."""
        if self.run is not None:
            fields = {key: value for key, value in record.items() if key not in ("config", "curve")}
            self._attempt(lambda: self.run.summary.update(fields))

    def log_maps(self, layers: list[Any], step: int) -> None:
        """Attention maps (H, N, N), one image a layer, its heads side by side; dark is weight 1."""
        if self.run is None or not layers:
            return

        def images() -> None:
            import numpy
            import wandb

            pictures = {
                f"attention/layer_{layer}": wandb.Image(255 - numpy.uint8(255 * numpy.concatenate(list(heads), axis=1)))
                for layer, heads in enumerate(layers, 1)
            }
            self.run.log(pictures, step=step)

        self._attempt(images)

    def close(self, exit_code: int) -> None:
        if self.run is not None:
            self._attempt(lambda: self.run.finish(exit_code=exit_code))
            self.run = None

    def _start(self, config: DictConfig, name: str, folder: Path, mode: Any) -> Any:
        import wandb

        origin = config.origin
        resolved: Any = OmegaConf.to_container(config, resolve=True)
        folder.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=config.tracking.project,
            entity=config.tracking.entity,
            dir=folder.absolute(),  # W&B's service keeps the working directory it began with
            mode=mode,
            id=name,
            name=name,
            group=origin.experiment,
            job_type=origin.role,
            tags=[*origin.claims, config.tier],
            config=resolved,
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                init_timeout=30,
                disable_git=True,
                disable_code=True,
                x_disable_stats=True,
                x_disable_meta=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
            ),
        )

    def _attempt(self, call: Any) -> None:
        try:
            call()
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        complain(f"W&B failed ({_short(error)}); training goes on, the record is kept")
        self.run = None


def check_key(config: DictConfig) -> None:
    """Refuse ``tracking.mode=online`` without a key, before anything is trained. Raises ``ValueError``."""
    if config.tracking.mode != "online":
        return
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        found = wandb.login(prompt=False, verify=False)  # environment, netrc, settings; asks no server
    except wandb.errors.AuthenticationError as error:
        raise ValueError(f"tracking.mode=online: {_short(error)}; run wandb login, or use tracking.mode=offline") from None
    if not found:
        raise ValueError(
            "tracking.mode=online needs a W&B key: run wandb login, set WANDB_API_KEY, or use tracking.mode=offline"
        )


def complain(message: str) -> None:
    """Say it once per process."""
    if message not in _said:
        _said.add(message)
        warnings.warn(message, stacklevel=2)


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
