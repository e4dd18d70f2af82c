"""One run: a config in, a record out. Needs neither Hydra's launcher nor a command line."""

from __future__ import annotations

import contextlib
import errno
import os
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback

from study import files, interrupts, records, schema
from study.choosing import is_over
from study.training import checkpoints, provenance, weights
from study.training.build import validate
from study.training.module import Diverged
from study.training.tracking import Tracker, check_key
from study.training.train import measure, train

TRACEBACK = "traceback.txt"
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
        metric, splits = self.record["metric"], self.record["metrics"].items()
        if not splits:  # a measurement of cost
            return f"{self.name}: {self.record['slices']}"
        scores = ", ".join(f"{split} {m[metric]:.4f}" for split, m in splits)
        for name in self.record.get("decoded", []):
            scores += f"; {name} " + ", ".join(f"{split} {m[name]:.4f}" for split, m in splits if name in m)
        return f"{self.name}: {metric} {scores} after {self.record['steps']} steps, {self.record['seconds']:.0f} s"


def execute(config: DictConfig, wait: bool = True, command: str | None = None, watchers: Sequence[Callback] = ()) -> Outcome:
    """Train what ``config`` asks for and write its record; do nothing where a record says it is done.

    A run that another process trains is waited for, or with ``wait=False`` left to it. A run that diverges or raises is
    recorded as such and does not raise. ``command`` is the line that repeats the run, for the record; ``watchers`` see it
    train. Raises ``ValueError`` for a config that contradicts itself, before anything is trained, and ``KeyboardInterrupt``
    on Ctrl-C or SIGTERM: the run then goes on from its last checkpoint when launched again.
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
            record = _attempt(config, name, folder, command, data, watchers)
            return Outcome(name, record["status"], True, record, record["error"])
    except Timeout:
        return Outcome(name, "elsewhere", False, None, "another process trains it just now")
    except OSError as error:
        with contextlib.suppress(OSError):  # a finished run is finished in a folder that can only be read, too
            if (done := _done(folder, config, data)) is not None:
                return Outcome(name, done["status"], False, done, done["error"])
        return Outcome(name, "failed", True, None, f"{error}: nothing recorded; fix that and launch again to go on")
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
    if keeps and record["status"] == "finished" and not weights.are_kept(folder, record):
        return None
    return record


def _attempt(
    config: DictConfig, name: str, folder: Path, command: str | None, data: dict[str, Any], watchers: Sequence[Callback]
) -> records.Record:
    files.sweep(folder)
    records.replace_atomically(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
    (folder / TRACEBACK).unlink(missing_ok=True)
    known = provenance.known(config, name, command, data)
    tracker = Tracker(config, name, command)
    exit_code = 1
    try:
        try:
            outcome = train(config, folder, data, tracker, watchers) if config.measure == "training" else measure(config)
        except SystemExit:  # what Lightning makes of an interrupt
            raise KeyboardInterrupt from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise
            status = "diverged" if isinstance(error, Diverged) else "failed"
            (folder / TRACEBACK).write_text(traceback.format_exc(), encoding="utf-8")
            outcome = {"status": status, "error": traceback.format_exception_only(error)[0].strip().splitlines()[0]}
        try:
            record = records.write(folder, records.finite(known | outcome))
        except records.RecordError as error:  # of what was found, not of what is known: a run is never left without a record
            record = records.write(folder, records.finite(known | {"status": "failed", "error": str(error)}))
        exit_code = int(record["status"] != "finished")
        checkpoints.clear(folder, config, is_over(record))
        tracker.finish(record)
        return record
    finally:
        tracker.close(exit_code)
