"""One training or one measuring of costs, and what its record says of it."""

from __future__ import annotations

import json
import logging
import math
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment
from omegaconf import DictConfig

from study.cost.memory import training_bytes
from study.cost.timing import wait_for
from study.kinds.base import Kind, kind_of
from study.seeding import stream
from study.training import provenance, weights
from study.training.build import build_task
from study.training.checkpoints import Checkpoint
from study.training.module import Training, rate_factor
from study.training.tracking import Tracker

HISTORY = "history.jsonl"


class Clock(pl.Callback):
    """Seconds an optimiser step takes in this process; evaluations, and checkpoints after them, are apart.

    Those of its processor, where one thread of it trains: what else keeps the machine busy doesn't count.
    """

    step_seconds: float | None = None
    recent: float | None = None  # the same, since the evaluation before
    seconds, first, since, last = 0.0, 0, 0.0, 0
    now: Callable[[], float] = time.perf_counter

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        alone = module.device.type == "cpu" and torch.get_num_threads() == 1
        self.now = time.process_time if alone else time.perf_counter
        self.seconds, self.first, self.since = 0.0, trainer.global_step, self.now()
        self.last = self.first

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        wait_for(module.device)
        seconds, steps = self.now() - self.since, trainer.global_step - self.last
        self.seconds += seconds
        self.recent = seconds / steps if steps else None

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.since, self.last = self.now(), trainer.global_step

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        wait_for(module.device)
        self.seconds += self.now() - self.since
        if steps := trainer.global_step - self.first:
            self.step_seconds = self.seconds / steps


def train(
    config: DictConfig, folder: Path, data: dict[str, Any], tracker: Tracker, watchers: Sequence[pl.Callback] = ()
) -> dict[str, Any]:
    """The fields of a finished training's record. ``data`` is the provenance of the task's data."""
    started = time.perf_counter()
    kind = _begin(config)
    task, model = kind.task, kind.build()
    history, clock = folder / HISTORY, Clock()

    def on_evaluation(row: dict[str, Any]) -> None:
        with history.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if tracker.on:
            tracker.log(row | _pace(module, clock))

    module = Training(model, task, config, on_evaluation)
    made_with = {"data": json.dumps(data.get("sha256")), "code": provenance.code(), "torch": str(torch.__version__)}
    checkpoint = Checkpoint(folder, config, made_with)
    trainer = make_trainer(config, [checkpoint, clock, *watchers])
    resume = checkpoint.resumable(module)
    history.write_text("", encoding="utf-8")
    diagnostics, profiles = {"start": kind.diagnose(module)}, {"start": kind.profile(module)}
    if on_gpu := trainer.strategy.root_device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()  # those of an earlier run in this process
    trainer.fit(module, ckpt_path=resume, weights_only=True)
    train_seconds = time.perf_counter() - started
    if not module.curve or module.curve[-1]["step"] != trainer.global_step:
        trainer.validate(module, verbose=False)
    module.take_weights()
    if config.trainer.keep_weights:  # before anything else can fail
        kind.keep(folder)
        weights.keep(folder, model)  # last, since they say that all is there
    module.to(trainer.strategy.root_device)  # Lightning leaves it on the CPU
    history.write_text("".join(json.dumps(row) + "\n" for row in module.curve), encoding="utf-8")
    peak = torch.cuda.max_memory_allocated() if on_gpu else _counted_bytes(module)
    diagnostics["end"], profiles["end"] = kind.diagnose(module), kind.profile(module)
    tuning = config.origin.role == "tuning"  # such runs choose a rate on validation; nothing else of them is evaluated
    trained: dict[str, Any] = {"metrics": {"validation": _validation(module)}}
    if not tuning:
        trained = {**_judge(kind, module), **kind.examine(module)}
        trained["slices"] |= {when: slices for when, slices in profiles.items() if slices}
    if tracker.on and not tuning:
        module.eval()
        with torch.no_grad():
            tracker.log_maps(kind.maps(module), module.global_step)
    return {
        "status": "finished",
        "error": None,
        **trained,
        "diagnostics": {when: numbers for when, numbers in diagnostics.items() if numbers},
        "curve": module.curve,
        "steps": trainer.global_step,
        "tested_at": module.tested["step"],
        "steps_to_90": module.steps_to_90,
        "steps_to_solve": module.steps_to_solve,
        **kind.describe(model),
        "peak_memory_bytes": peak,
        "tokens_seen": trainer.global_step * config.train.batch * task.length,
        "weights_sha256": weights.digest(model.state_dict()),
        "resumed": resume is not None,
        "train_seconds": round(train_seconds, 3),
        "step_seconds": clock.step_seconds,
        "seconds": round(time.perf_counter() - started, 3),
    }


def measure(config: DictConfig) -> dict[str, Any]:
    """The fields of a record that measures costs and trains nothing."""
    started = time.perf_counter()
    kind = _begin(config)
    on_gpu = config.trainer.accelerator == "gpu"
    slices = kind.measure(
        repeats=config.cost.repeats,
        device=torch.device("cuda" if on_gpu else "cpu"),
        autocast=config.trainer.precision == "bf16-mixed",
    )
    seconds = round(time.perf_counter() - started, 3)
    return {"status": "finished", "error": None, "metric": "seconds", "slices": slices, "seconds": seconds}


def make_trainer(config: DictConfig, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Lightning's loop with nothing of its own written, logged or printed."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*|.*mid-epoch.*|.*isinstance.*LeafSpec.*|.*srun.*")
    return pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        plugins=[LightningEnvironment()],  # one process, also within a job of Slurm or another cluster
        precision=config.trainer.precision,
        max_steps=last_step(config.train),
        val_check_interval=max(1, min(config.train.evaluate_every, config.train.steps)),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def last_step(train: DictConfig) -> int:
    """The step at which a run ends: with ``train.until`` the first evaluation from that share of its steps on."""
    if train.until == 1:
        return train.steps
    return min(train.steps, train.evaluate_every * math.ceil(train.until * train.steps / train.evaluate_every))


def _begin(config: DictConfig) -> Kind:
    """Threads and the start of the weights' random stream, then the kind of the config's task."""
    torch.set_num_threads(config.trainer.threads)
    torch.manual_seed(stream(config.seed, "init"))
    return kind_of(config, build_task(config))


def _judge(kind: Kind, module: Training) -> dict[str, Any]:
    """Scores of the tested weights on validation, on the test, and on the task's other evaluations."""
    metrics = {"validation": _validation(module)}
    slices: dict[str, Any] = {}
    notes: dict[str, str] = {}
    written: dict[str, Any] = {}
    evaluations = {**kind.task.evaluations(), **({"train": kind.task} if module.config.evaluation.train else {})}
    for split, task in evaluations.items():
        try:
            metrics[split], slices[split] = module.evaluate(task, split)
        except ValueError as error:  # a length that the model can't take: said in the record, never scored
            if split == "test":
                raise
            notes[split] = str(error)
            continue
        more = kind.judge(module, task, split)
        metrics[split] |= more.scores
        slices[split] |= more.slices
        if more.written:
            written[split] = more.written
    return {"metrics": metrics, "slices": slices, "notes": notes, **({"written": written} if written else {})}


def _pace(module: Training, clock: Clock) -> dict[str, float]:
    """Of the last step: learning rate, and norm of the gradient; of those since the evaluation before: tokens a second."""
    train = module.config.train
    if module.gradient_norm is None or clock.recent is None:  # nothing was trained since
        return {}
    return {
        "train_learning_rate": train.rate * rate_factor(module.global_step - 1, train.steps, train.warmup),
        "train_gradient_norm": float(module.gradient_norm),
        "train_tokens_per_second": train.batch * module.task.length / clock.recent,
    }


def _validation(module: Training) -> dict[str, Any]:
    prefix = "validation_"
    return {key.removeprefix(prefix): value for key, value in module.tested.items() if key.startswith(prefix)}


def _counted_bytes(module: Training) -> int:
    batch = module.draw(module.task, "train", 0, module.config.train.batch)
    return training_bytes(module.model.parameters(), lambda: module.loss(batch))
