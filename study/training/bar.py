"""The progress of one run, for the person who waits for it."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl

from study.progress import Display, State

SECONDS_BETWEEN_UPDATES = 0.25


class Bar(pl.Callback):
    """Steps, training loss, last validation score and the time left, on a terminal as a bar."""

    def __init__(self, display: Display):
        self.display = display
        self.first, self.began, self.next = 0, 0.0, 0.0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.first, self.began, self.next = trainer.global_step, time.monotonic(), 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + SECONDS_BETWEEN_UPDATES
            self.display.show(self._state(trainer, module))

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.display.show(State("testing", trainer.global_step, trainer.max_steps, "steps"))

    def _state(self, trainer: pl.Trainer, module: Any) -> State:
        done, steps = trainer.global_step - self.first, trainer.max_steps
        left = (time.monotonic() - self.began) / done * (steps - trainer.global_step) if done else None
        said = [f"loss {float(module.loss_sum / module.loss_count):.3f}"] if module.loss_count else []
        if module.curve:
            metric = module.task.metric
            said.append(f"validation {metric.replace('_', ' ')} {module.curve[-1][f'validation_{metric}']:.3f}")
        return State("training", trainer.global_step, steps, "steps", left, ", ".join(said))
