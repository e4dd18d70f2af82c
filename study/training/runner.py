"""One run: a config in, a record out. Needs neither Hydra's launcher nor a command line."""

from __future__ import annotations

import contextlib
import datetime
import errno
import functools
import hashlib
import json
import logging
import os
import platform
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from filelock import FileLock, Timeout
from lightning_fabric.plugins.environments import LightningEnvironment
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.trainer.states import TrainerFn

from study import files, interrupts, records, schema
from study.cost.decoding import decode
from study.cost.images import measure_images
from study.cost.measure import measure, wait_for
from study.cost.memory import training_bytes
from study.seeding import stream
from study.tasks.base import Task
from study.tasks.pairs import PairTask
from study.training.build import build_layer, build_model, build_task, part, validate
from study.training.decoding import decode_all
from study.training.description import glimpses, maps, size
from study.training.diagnostics import diagnose
from study.training.module import Diverged, Training
from study.training.structure import examine
from study.training.tracking import Tracker, check_key

ROOT = Path(__file__).parent.parent.parent
CHECKPOINT = "last.ckpt"
MADE_WITH = "made_with"  # its key for what must be the same where it is gone on from
HISTORY = "history.jsonl"
TRACEBACK = "traceback.txt"
WEIGHTS = records.WEIGHTS
VOCABULARY = "vocabulary"  # beside the weights, of a task of pairs that has files: all that translating needs
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # of the machine, not of the run: not recorded, goes on once there is room


@dataclass(frozen=True)
class Outcome:
    """What became of a run: ``state`` is a record's status, or ``elsewhere`` (another process trains it just now)."""

    name: str
    state: str
    fresh: bool
    record: records.Record | None
    error: str | None = None

    def line(self) -> str:
        """One line for a person: the scores, or what went wrong."""
        if self.record is None or self.state != "finished":
            return f"{self.name}: {self.state}: {self.error}"
        metric = self.record["metric"]
        if metric not in ("accuracy", "bits_per_character"):
            return f"{self.name}: {self.record['slices']}"
        splits = self.record["metrics"].items()
        scores = ", ".join(f"{split} {m[metric]:.4f}" for split, m in splits)
        for name in self.record.get("decoded", []):
            scores += f"; {name} " + ", ".join(f"{split} {m[name]:.4f}" for split, m in splits if name in m)
        return f"{self.name}: {metric} {scores} after {self.record['steps']} steps, {self.record['seconds']:.0f} s"


class Checkpoint(pl.Callback):
    """Writes ``last.ckpt`` every ``every`` steps, whole or not at all.

    Where the module looks at the validation split after a step, the checkpoint is written after the look: Lightning takes
    for granted that it was, and a run resumed from an earlier one would go without it.
    """

    def __init__(self, folder: Path, every: int, look_every: int, made_with: dict[str, str]):
        self.path = folder / CHECKPOINT
        self.every = every
        self.look_every = look_every
        self.made_with = made_with

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[MADE_WITH] = self.made_with

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step % self.look_every:
            self.write(trainer)

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.state.fn == TrainerFn.FITTING and not trainer.should_stop:
            self.write(trainer)

    def write(self, trainer: pl.Trainer) -> None:
        if trainer.global_step % self.every == 0 and trainer.global_step < trainer.max_steps:
            with files.replacing(self.path) as temporary:
                trainer.save_checkpoint(temporary)


class Clock(pl.Callback):
    """Seconds an optimiser step takes in this process; looks at the validation split, and checkpoints after them, are apart."""

    step_seconds: float | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.seconds, self.first, self.since = 0.0, trainer.global_step, time.perf_counter()

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        wait_for(module.device)
        self.seconds += time.perf_counter() - self.since

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.since = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        wait_for(module.device)
        self.seconds += time.perf_counter() - self.since
        if steps := trainer.global_step - self.first:
            self.step_seconds = self.seconds / steps


def execute(config: DictConfig, wait: bool = True, command: str | None = None) -> Outcome:
    """Train what ``config`` asks for and write its record; do nothing where a record says it is done.

    A run that another process trains is waited for, or with ``wait=False`` left to it. A run that diverges or raises is
    recorded as such and does not raise. ``command`` is the line that repeats the run, for the record. Raises
    ``ValueError`` for a config that contradicts itself, before anything is trained, and ``KeyboardInterrupt`` on Ctrl-C
    or SIGTERM: the run then goes on from its last checkpoint when launched again.
    """
    data = validate(config).provenance()
    check_key(config)
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise ValueError("trainer=gpu needs a CUDA GPU, and torch sees none here; use trainer=cpu")
    name = schema.name(config)
    folder = Path(config.runs) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with interrupts.orderly(), FileLock(folder / "lock", timeout=-1 if wait else 0):
            if (done := _done(folder, config, data)) is not None:
                return Outcome(name, done["status"], False, done, done["error"])
            record = _attempt(config, name, folder, command, data)
            return Outcome(name, record["status"], True, record, record["error"])
    except Timeout:
        return Outcome(name, "elsewhere", False, None, "another process trains it just now")
    except OSError as error:
        with contextlib.suppress(OSError):  # a finished run is finished in a folder that can only be read, too
            if (done := _done(folder, config, data)) is not None:
                return Outcome(name, done["status"], False, done, done["error"])
        return Outcome(name, "failed", True, None, f"{error}: nothing recorded; mend that and launch again to go on")
    except KeyboardInterrupt:
        if interrupts.is_worker():
            os._exit(1)  # else it would take up its next run
        raise


def _done(folder: Path, config: DictConfig, data: dict[str, Any]) -> records.Record | None:
    """The record of the run, where there is one that counts; says why where there is one that doesn't."""
    try:
        record = records.read(folder / records.NAME, folder.name)
    except FileNotFoundError:
        return None
    except records.RecordError as error:
        aside = records.put_aside(folder / records.NAME)
        warnings.warn(f"{error} (set aside as {aside.name})", stacklevel=2)
        return None
    if record["provenance"]["data"].get("sha256") != data.get("sha256"):  # a user's own files, under the same names
        warnings.warn(f"{record['name']}: its data have changed since, so it is trained again", stacklevel=2)
        return None
    if config.retry_failed and record["status"] != "finished":
        return None
    keeps = config.trainer.keep_weights and config.measure == "training"
    if keeps and record["status"] == "finished" and not _has_weights(folder, record):
        return None
    return record


def _has_weights(folder: Path, record: records.Record) -> bool:
    try:
        return _digest(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)) == record["weights_sha256"]
    except FileNotFoundError:
        return False
    except Exception as error:  # of many types, and none that promises to be all
        warnings.warn(f"{folder / WEIGHTS} can't be read ({type(error).__name__}): trained again", stacklevel=2)
        return False


def _attempt(config: DictConfig, name: str, folder: Path, command: str | None, data: dict[str, Any]) -> records.Record:
    files.sweep(folder)
    records.replace_atomically(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
    (folder / TRACEBACK).unlink(missing_ok=True)
    known = _known(config, name, data) | {"command": command}
    tracker = Tracker(config, name)
    exit_code = 1
    try:
        try:
            outcome = _train(config, folder, data, tracker) if config.measure == "training" else _measure_cost(config)
        except SystemExit:  # what Lightning makes of an interrupt
            raise KeyboardInterrupt from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise
            status = "diverged" if isinstance(error, Diverged) else "failed"
            (folder / TRACEBACK).write_text(traceback.format_exc(), encoding="utf-8")
            outcome = {"status": status, "error": traceback.format_exception_only(error)[0].strip().splitlines()[0]}
        try:
            record = records.write(folder, records.finite({**known, **outcome}))
        except records.RecordError as error:  # of what was found, not of what is known: a run is never left without a record
            record = records.write(folder, records.finite({**known, "status": "failed", "error": str(error)}))
        exit_code = int(record["status"] != "finished")
        (folder / CHECKPOINT).unlink(missing_ok=True)
        tracker.summarise(record)
        return record
    finally:
        tracker.close(exit_code)


def _train(config: DictConfig, folder: Path, data: dict[str, Any], tracker: Tracker) -> dict[str, Any]:
    started = time.perf_counter()
    torch.set_num_threads(config.trainer.threads)
    torch.manual_seed(stream(config.seed, "init"))
    task = build_task(config)
    model = build_model(config, task)
    history = folder / HISTORY

    def on_evaluation(row: dict[str, Any]) -> None:
        with history.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        tracker.log({key: value for key, value in row.items() if key != "step"}, row["step"])

    module = Training(model, task, config, on_evaluation)
    made_with = {"data": json.dumps(data.get("sha256")), "code": _code(), "torch": str(torch.__version__)}
    checkpoint = Checkpoint(folder, config.trainer.checkpoint_every, config.train.evaluate_every, made_with)
    clock = Clock()
    trainer = make_trainer(config, [checkpoint, clock])
    resume = _resumable(checkpoint.path, module, made_with)
    history.write_text("", encoding="utf-8")
    diagnostics = {"start": diagnose(module)} if task.kind == "tokens" else {}
    if on_gpu := trainer.strategy.root_device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()  # those of an earlier run in this process
    trainer.fit(module, ckpt_path=resume, weights_only=True)
    train_seconds = time.perf_counter() - started
    if config.trainer.keep_weights:  # before anything else can fail
        _keep(folder, task, model)
    if not module.curve or module.curve[-1]["step"] != trainer.global_step:
        trainer.validate(module, verbose=False)
    module.to(trainer.strategy.root_device)  # Lightning leaves it on the CPU
    history.write_text("".join(json.dumps(row) + "\n" for row in module.curve), encoding="utf-8")
    peak = torch.cuda.max_memory_allocated() if on_gpu else _counted_bytes(module)
    if diagnostics:
        diagnostics["end"] = diagnose(module)

    metrics = {"validation": _last_validation(module)}
    slices: dict[str, Any] = {}
    notes: dict[str, str] = {}
    written: dict[str, Any] = {}
    tuning = config.origin.role == "tuning"  # tuning runs choose a rate on validation; nothing else of them is looked at
    evaluations = {} if tuning else {**task.evaluations(), **({"train": task} if config.evaluation.train else {})}
    for split, evaluation in evaluations.items():
        try:
            metrics[split], slices[split] = module.evaluate(evaluation, split)
        except ValueError as error:  # a length that the model can't take: said in the record, never scored
            if split == "test":
                raise
            notes[split] = str(error)
            continue
        if isinstance(evaluation, PairTask):
            found, parts, written[split] = decode_all(module, evaluation, split)
            metrics[split] |= found
            slices[split] |= parts
    structure = {"structure": examine(module)} if config.evaluation.structure and not tuning else {}
    if hasattr(model, "paths") and not tuning:
        written["test"] = {"glimpses": glimpses(module)}
    if tracker.on:
        tracker.log_maps(maps(module), trainer.global_step)
    return {
        "status": "finished",
        "error": None,
        "metrics": metrics,
        "slices": slices,
        "notes": notes,
        "diagnostics": diagnostics,
        **structure,
        **({"written": written} if written else {}),
        "curve": module.curve,
        "steps": trainer.global_step,
        "steps_to_90": module.steps_to_90,
        "steps_to_solve": module.steps_to_solve,
        **size(config, task, model),
        "peak_memory_bytes": peak,
        "tokens_seen": trainer.global_step * config.train.batch * task.length,
        "weights_sha256": _digest(model.state_dict()),
        "resumed": resume is not None,
        "train_seconds": round(train_seconds, 3),
        "step_seconds": clock.step_seconds,
        "seconds": round(time.perf_counter() - started, 3),
    }


def _measure_cost(config: DictConfig) -> dict[str, Any]:
    started = time.perf_counter()
    torch.set_num_threads(config.trainer.threads)
    torch.manual_seed(stream(config.seed, "init"))
    task = build_task(config)
    cost, width, causal = config.cost, config.model.width, task.causal
    on_gpu = config.trainer.accelerator == "gpu"
    repeated: dict[str, Any] = {
        "repeats": cost.repeats,
        "device": torch.device("cuda" if on_gpu else "cpu"),
        "autocast": config.trainer.precision == "bf16-mixed",
    }
    if cost.sizes:
        model = build_model(config, task)
        found = measure_images(model, sizes=cost.sizes, images=config.train.batch, **repeated)
        return _measured({"cost": {"size": found}}, started)
    mixer, keys = part(config.mixer)
    build = functools.partial(build_layer, config, causal)
    if cost.widths:
        axis, points = "width", {str(other): (other, cost.lengths[0]) for other in cost.widths}
    else:
        axis, points = "length", {str(length): (width, length) for length in cost.lengths}
    slices: dict[str, Any] = {}
    if points:
        work = functools.partial(mixer.multiply_adds, causal=causal, **keys)
        size = {"tokens": cost.tokens, "sequences": cost.sequences}
        slices["cost"] = {axis: measure(build, work, points=points, **size, **repeated)}
    if cost.positions:
        slices["decoding"] = {"position": decode(build(width, 0), positions=cost.positions, **repeated)}
    return _measured(slices, started)


def _measured(slices: dict[str, Any], started: float) -> dict[str, Any]:
    return {
        "status": "finished",
        "error": None,
        "metric": "seconds",
        "slices": slices,
        "seconds": round(time.perf_counter() - started, 3),
    }


def _keep(folder: Path, task: Task, model: torch.nn.Module) -> None:
    """All that translating needs; the weights last, since they say that it is there."""
    if isinstance(task, PairTask):
        with files.replacing(folder / VOCABULARY) as temporary:
            temporary.mkdir()
            task.keep(temporary)
    with files.replacing(folder / WEIGHTS) as temporary:
        torch.save(model.state_dict(), temporary)


def _resumable(checkpoint: Path, module: Training, made_with: dict[str, str]) -> Path | None:
    """The checkpoint to go on from, if there is one; one that doesn't serve is removed, and the run starts afresh."""
    if not checkpoint.exists():
        return None
    try:
        found = torch.load(checkpoint, map_location="cpu", weights_only=True)
        defect = _misfit(found, module, made_with)
    except Exception as error:  # of many types, and none that promises to be all
        defect = f"can't be read ({type(error).__name__})"
    if defect is None:
        return checkpoint
    warnings.warn(f"{checkpoint} {defect}: starting afresh", stacklevel=2)
    files.remove(checkpoint)
    return None


def _misfit(checkpoint: dict[str, Any], module: Training, made_with: dict[str, str]) -> str | None:
    """Why a run may not go on from a checkpoint: what it would end as must not hang on when it was interrupted."""
    found = checkpoint[MADE_WITH]
    if other := [what for what, value in made_with.items() if found.get(what) != value]:
        return f"was made with other {' and '.join(other)}"
    shapes, own = ({k: v.shape for k, v in state.items()} for state in (checkpoint["state_dict"], module.state_dict()))
    return None if shapes == own else "does not fit the model"


@functools.cache
def _code() -> str:
    """Hash of the study's own sources, as they are when this process makes its first run."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "study").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def make_trainer(config: DictConfig, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Lightning's loop with nothing of its own written, logged or printed."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*|.*mid-epoch.*|.*isinstance.*LeafSpec.*|.*srun.*")
    return pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        plugins=[LightningEnvironment()],  # one process, though a Slurm job or another cluster be around it
        precision=config.trainer.precision,
        max_steps=config.train.steps,
        val_check_interval=min(config.train.evaluate_every, config.train.steps),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _known(config: DictConfig, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """What a record holds whatever becomes of its run."""
    origin = config.origin
    return {
        "id": schema.identity(config),
        "name": name,
        "plan": {
            "experiment": origin.experiment,
            "tier": config.tier,
            "arm": origin.arm,
            "task": origin.task,
            "role": origin.role,
            "rate": config.train.rate if config.measure == "training" else None,
            "seed": config.seed,
            "digest": origin.digest,
        },
        "claims": list(origin.claims),
        "config": schema.portable(config),
        "metrics": {},
        "slices": {},
        "notes": {},
        "curve": [],
        "provenance": {**_provenance(config), "data": data},
    }


@functools.cache
def _git_state() -> dict[str, Any]:
    return records.git_state(ROOT)


def _provenance(config: DictConfig) -> dict[str, Any]:
    on_gpu = config.trainer.accelerator == "gpu" and torch.cuda.is_available()
    return {
        **_git_state(),
        "versions": records.versions("torch", "pytorch-lightning", "hydra-core", "wandb"),
        "device": "cuda" if on_gpu else "cpu",
        "device_name": torch.cuda.get_device_name() if on_gpu else platform.processor() or platform.machine(),
        "threads": config.trainer.threads,
        "dtype": "bfloat16 autocast" if config.trainer.precision == "bf16-mixed" else "float32",
        "attention_backend": "torch scaled_dot_product_attention" if on_gpu else "torch, CPU",
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _last_validation(module: Training) -> dict[str, Any]:
    prefix = "validation_"
    return {key.removeprefix(prefix): value for key, value in module.curve[-1].items() if key.startswith(prefix)}


def _counted_bytes(module: Training) -> int:
    batch = module.draw(module.task, "train", 0, module.config.train.batch)
    return training_bytes(module.model.parameters(), lambda: module.loss(batch))


def _digest(weights: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in weights.values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
