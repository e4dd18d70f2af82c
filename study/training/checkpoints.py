"""Checkpoints, from which an interrupted run resumes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.trainer.states import TrainerFn

from study import files, records

NAME = records.CHECKPOINT
MADE_WITH = "made_with"  # the checkpoint's key for what must be the same to resume


def clear(folder: Path, config: DictConfig, over: bool) -> None:
    """Remove the checkpoints that a recorded run has no more use for; ``over``: no other run goes on from its end."""
    if over or config.train.until == 1:
        (folder / NAME).unlink(missing_ok=True)
    if config.trainer.goes_on_from:
        (folder.parent / config.trainer.goes_on_from / NAME).unlink(missing_ok=True)


class Checkpoint(pl.Callback):
    """Writes ``last.ckpt`` every ``every`` steps, whole or not at all.

    Where the module is evaluated after a step, the checkpoint is written after the evaluation: Lightning assumes that it was,
    and a run resumed from an earlier one would skip it. ``made_with`` says what decides the numbers beside the config: a run
    goes on only where it is the same. A run that ends early (``train.until``) leaves its last one for the run that goes on from
    there (``trainer.goes_on_from``).
    """

    def __init__(self, folder: Path, config: DictConfig, made_with: dict[str, str]):
        self.path = folder / NAME
        before = config.trainer.goes_on_from
        self.begun = folder.parent / before / NAME if before else None
        self.every = config.trainer.checkpoint_every
        self.evaluate_every = config.train.evaluate_every
        self.steps = config.train.steps
        self.made_with = made_with

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[MADE_WITH] = self.made_with

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step % self.evaluate_every:
            self.write(trainer)

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.state.fn == TrainerFn.FITTING and not trainer.should_stop:
            self.write(trainer)

    def write(self, trainer: pl.Trainer) -> None:
        step, end = trainer.global_step, trainer.max_steps
        if (step % self.every == 0 and step < end) or step == end < self.steps:
            with files.replacing(self.path) as temporary:
                trainer.save_checkpoint(temporary)

    def resumable(self, module: pl.LightningModule) -> Path | None:
        """The checkpoint to resume from, if there is one; an unusable one is removed, and the run starts afresh."""
        for path in (self.path, self.begun):
            if path is None or not path.exists():
                continue
            try:
                defect = self._misfit(torch.load(path, map_location="cpu", weights_only=True), module)
            except Exception as error:  # of many types, and none that promises to be all
                defect = f"can't be read ({type(error).__name__})"
            if defect is None:
                return path
            warnings.warn(f"{path} {defect}: starting afresh", stacklevel=2)
            files.remove(path)
        return None

    def _misfit(self, checkpoint: dict[str, Any], module: pl.LightningModule) -> str | None:
        """Why a run may not go on from a checkpoint: how it ends must not depend on when it was interrupted."""
        made_with = checkpoint[MADE_WITH]
        if other := [what for what, value in self.made_with.items() if made_with.get(what) != value]:
            return f"was made with other {' and '.join(other)}"
        shapes, own = ({k: v.shape for k, v in state.items()} for state in (checkpoint["state_dict"], module.state_dict()))
        return None if shapes == own else "does not fit the model"
