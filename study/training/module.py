"""The Lightning module: what a training step is, when a run is solved, and what a checkpoint must hold.

Batches are a function of (seed, split, step), made on the training device; so is every other random draw of a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from torch import nn
from torch.utils.data import DataLoader

from study import interrupts
from study.metrics import METRICS, surely
from study.seeding import stream
from study.tasks.base import Task
from study.training.scores import Scores

NEARLY_SOLVED = 0.9  # the first step at this accuracy is reported, beside the step that solves the task


class Diverged(RuntimeError):
    """The loss is no longer finite."""


class Training(pl.LightningModule):
    """Trains ``model`` on ``task``.

    ``on_evaluation`` gets each row of the learning curve as it comes. After training, ``curve``, ``steps_to_90`` and
    ``steps_to_solve`` (the first step whose validation score reached the task's threshold, or None) are final, and
    ``tested`` is the row of the weights that ``take_weights`` leaves for the test.
    """

    loss_sum: torch.Tensor
    loss_count: torch.Tensor

    def __init__(
        self,
        model: Any,
        task: Task,
        config: DictConfig,
        on_evaluation: Callable[[dict[str, Any]], None] = lambda row: None,
    ):
        super().__init__()
        self.model: Any = model
        self.task = task
        self.config = config
        self.on_evaluation = on_evaluation
        self.scores = Scores()
        self.curve: list[dict[str, Any]] = []
        self.steps_to_90: int | None = None
        self.steps_to_solve: int | None = None
        self.gradient_norm: torch.Tensor | None = None  # of the last step, before it was clipped
        self.best: dict[str, Any] = {}  # with evaluation.weights=best: the row of the best evaluation, and its weights
        self.register_buffer("loss_sum", torch.zeros((), dtype=torch.float64))
        self.register_buffer("loss_count", torch.zeros((), dtype=torch.long))

    def draw(self, task: Task, split: str, index: int, size: int) -> Any:
        generator = torch.Generator(self.device).manual_seed(stream(self.config.seed, split, index))
        return task.batch(size, generator, split)

    def draw_for_evaluation(self, task: Task, split: str, index: int) -> Any:
        generator = torch.Generator(self.device).manual_seed(stream(self.config.seed, split, index))
        return task.evaluation_batch(index, self.config.evaluation.batch, generator, split)

    def reseed(self, seed: int) -> None:
        """``torch.manual_seed`` of the one device in use; seeding all that torch knows takes as long as a small step."""
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)

    def training_step(self, step: Any, batch_idx: int) -> torch.Tensor:
        interrupts.check()
        step = self.global_step
        self.reseed(stream(self.config.seed, "dropout", step))
        batch = self.draw(self.task, "train", step, self.config.train.batch)
        loss = self.loss(batch)
        self.loss_sum += loss.detach()
        self.loss_count += 1
        return loss

    def loss(self, batch: Any) -> torch.Tensor:
        """Mean loss of the scored places, in nats: their cross-entropy, unless the model is trained by another."""
        return self.model.loss(**batch.inputs(), targets_BT=batch.targets_BT)

    def validation_step(self, index: int, batch_idx: int) -> None:
        self._score(self.task, "validation", batch_idx)

    def on_validation_epoch_end(self) -> None:
        scores, _ = self.scores.compute()
        self.scores.reset()
        train_loss = float(self.loss_sum / self.loss_count) if self.loss_count else None  # before the first step
        self.loss_sum.zero_()
        self.loss_count.zero_()
        step = self.global_step
        if not all(math.isfinite(loss) for loss in (train_loss, scores["loss"]) if loss is not None):
            raise Diverged(f"the loss was no finite number at step {step}")
        row = {"step": step, "train_loss": train_loss, **{f"validation_{k}": scores[k] for k in self._reported()}}
        self.curve.append(row)
        self.on_evaluation(row)
        self._keep_best(row)
        if self.task.solved_at is None:
            return
        if self.steps_to_90 is None and scores["accuracy"] >= NEARLY_SOLVED:
            self.steps_to_90 = step
        if self.steps_to_solve is None and scores["accuracy"] >= self.task.solved_at:
            self.steps_to_solve = step
        if self.config.train.stop_when_solved and scores["accuracy"] >= surely(self.task.solved_at):
            self.trainer.should_stop = True

    def _keep_best(self, row: dict[str, Any]) -> None:
        if self.config.evaluation.weights != "best":
            return
        key, sign = f"validation_{self.task.metric}", METRICS[self.task.metric].sign
        if not self.best or sign * row[key] > sign * self.best["row"][key]:
            self.best = {"row": row, "weights": {k: v.detach().clone() for k, v in self.model.state_dict().items()}}

    def take_weights(self) -> None:
        """Put the weights in place that are to be tested (``evaluation.weights``)."""
        if self.best:
            self.model.load_state_dict(self.best["weights"])

    @property
    def tested(self) -> dict[str, Any]:
        """The row of the learning curve at the weights that are tested."""
        return self.best["row"] if self.best else self.curve[-1]

    def evaluate(self, task: Task, split: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Scores of at least ``evaluation.test_items`` items of ``split``, whole and per slice, in one pass."""
        self.evaluated = (task, split)
        batches = indices(self.batches(task, self.config.evaluation.test_items, split))
        self.trainer.test(self, dataloaders=batches, verbose=False)
        self.to(self.trainer.strategy.root_device)  # Lightning leaves it on the CPU
        result = self.scores.compute()
        self.scores.reset()
        return result

    def test_step(self, index: int, batch_idx: int) -> None:
        self._score(*self.evaluated, batch_idx)

    def train_dataloader(self) -> DataLoader:
        return indices(self.config.train.steps)

    def val_dataloader(self) -> DataLoader:
        return indices(self.batches(self.task, self.config.evaluation.validation_items, "validation"))

    def configure_optimizers(self) -> Any:
        """AdamW (Loshchilov & Hutter 2019); the rate rises linearly, then falls along a cosine to 0."""
        train = self.config.train
        optimizer = torch.optim.AdamW(parameter_groups(self.model, train.weight_decay), lr=train.rate, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, train.steps, train.warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Lightning's own clipping refuses fused optimisers under mixed precision, for the sake of float16's scaler."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.gradient_norm = nn.utils.clip_grad_norm_(parameters, self.config.train.clip)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["progress"] = (self.curve, self.steps_to_90, self.steps_to_solve, self.best)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.curve, self.steps_to_90, self.steps_to_solve, self.best = checkpoint["progress"]

    def _score(self, task: Task, split: str, index: int) -> None:
        batch = self.draw_for_evaluation(task, split, index)
        self.reseed(stream(self.config.seed, split, "choices", index))  # of a model that chooses by chance
        self.scores.update(self.model(**batch.inputs()), batch)

    def batches(self, task: Task, items: int, split: str) -> int:
        """Batches that hold at least ``items`` scored items, or all that the split has."""
        return task.evaluation_batches(items, self.config.evaluation.batch, split)

    def _reported(self) -> list[str]:
        return ["loss", self.task.metric]


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; norms and biases (one dimension) don't."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """Share of the peak rate at ``step``: linear over the first ``warmup`` share of ``steps``, then a cosine to 0."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def indices(count: int) -> DataLoader:
    """Batch numbers; the batches themselves are made on the device."""
    return DataLoader(range(count), batch_size=None)  # type: ignore[arg-type]
