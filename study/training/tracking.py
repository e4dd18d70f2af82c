"""Weights & Biases mirrors the records; where it fails, the run goes on.

W&B runs in a process of its own, ``wandb_process.py``, which is sent messages. Only the beginning and the end of a run wait for
it, and not for long. Where it fails (no server, or it dies), the messages go to a second one, which logs offline.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from study import records
from study.training import maps, mirrored, wandb_process

PATIENCE = 10  # seconds that W&B gets for an answer of its server, and to upload the rest of a run at its end
LOCALLY = 10  # seconds that it gets for a call that asks no server
LIMIT = 30  # seconds that the beginning and the end of a run wait at most, whatever hangs
MODES = {  # W&B's: ours
    "online": "online",
    "run": "online",
    "shared": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "off",
}

_said: set[str] = set()  # complaints already made by this process
_idle: list[Process] = []  # wait for their next run


class Tracker:
    """One W&B run, closed with its true exit state. While ``on`` is false every call is a no-op.

    The W&B id is the run's readable name, or what a sweep of W&B's has given it.
    """

    def __init__(self, config: DictConfig, name: str, command: str | None = None):
        mode = mode_of(config)
        self.on = mode != "off"
        if not self.on:
            return
        self._folder = _folder(config)
        self._settings = {
            "project": config.tracking.project,
            "entity": config.tracking.entity,
            "dir": str(self._folder),
            "id": given if (given := os.environ.get("WANDB_RUN_ID")) and "WANDB_SWEEP_ID" in os.environ else name,
            "name": name,
            "group": config.origin.experiment,
            "job_type": config.origin.role,
            "tags": [*config.origin.claims, config.tier],
            "config": mirrored.config(config),
        }
        self._command = command or ""
        self._label = mirrored.label(config)
        self._kept = Path(config.runs).absolute() / name  # the run's own folder
        self._defined: set[str] = set()  # keys of the history
        self._told: list[tuple[Any, ...]] = []
        self._inbox: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._process: Process | None = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._mirror, args=(mode,), daemon=True)
        self._thread.start()
        self._begun.wait(LIMIT)

    def log(self, evaluation: Mapping[str, Any]) -> None:
        """A row of the learning curve, or more that is known of its ``step``."""
        if self.on:
            self._log(mirrored.row(evaluation), evaluation["step"])

    def finish(self, record: Mapping[str, Any]) -> None:
        """The run's scores and numbers, and its record and weights as files. Its config and curve are there already."""
        if not self.on:
            return
        if scores := mirrored.scores(record):
            self._log(scores, record["steps"])
        self._tell("summarise", mirrored.summary(record))
        for file in (records.NAME, records.WEIGHTS):
            if (path := self._kept / file).exists():
                self._tell("keep", Path(file).stem, record["id"], str(path))

    def log_maps(self, seen: maps.Maps, step: int) -> None:
        if self.on and seen.layers_HTM:
            self._define([mirrored.MAPS])
            self._tell("log_image", mirrored.MAPS, maps.encoded(maps.draw(seen)), maps.caption(seen), step)

    def close(self, exit_code: int) -> None:
        """Wait until the run's files are whole, ``LIMIT`` seconds at most."""
        if not self.on:
            return
        self._tell("close", exit_code, self._label)
        self._thread.join(LIMIT)
        self.on = False
        if self._thread.is_alive():
            _complain_of_loss(f"no answer for {LIMIT} s")
            if self._process is not None:
                self._process.kill()

    def _log(self, values: dict[str, Any], step: int) -> None:
        values[mirrored.STEP] = step
        self._define(values)
        self._tell("log", {**values, "_timestamp": time.time()}, step)

    def _define(self, keys: Iterable[str]) -> None:
        if new := [key for key in keys if key not in self._defined]:
            self._defined |= {*new}
            self._tell("define", mirrored.STEP, {key: mirrored.kept_of(key) for key in new if key != mirrored.STEP})

    def _tell(self, *message: Any) -> None:
        if self.on:
            self._inbox.put(message)

    def _messages(self) -> Iterator[tuple[Any, ...]]:
        """All messages from the run's beginning to its end, also those that another process received."""
        yield from self._told
        while not (self._told and self._told[-1][0] == "close"):
            self._told.append(self._inbox.get())
            yield self._told[-1]

    def _mirror(self, mode: str) -> None:
        """Send all messages to a process, and again to a second one, offline, if the first fails."""
        sort, reason = self._tell_process(mode)
        if sort == "done" or not self.on:
            return
        if sort in ("unreachable", "unfinished"):
            go_offline(reason, f"{self._folder}/wandb/offline-run-*")
        again, reason_again = self._tell_process("offline")
        if again != "done":
            self._begun.set()
            _complain_of_loss(reason_again)
        elif sort == "failed":
            complain(f"W&B failed ({reason}), so a run was logged again, offline; nothing of it is lost")

    def _tell_process(self, mode: str) -> tuple[str, str]:
        try:
            self._process = _take()
        except OSError as error:
            return "failed", str(error)
        sort, reason = self._process.ask([("open", mode, self._settings, self._command)])
        if sort == "done":
            self._begun.set()
            sort, reason = self._process.ask(self._messages())
        if sort == "done" and self.on:
            _idle.append(self._process)
        else:
            self._process.kill()
        return sort, reason


class Process:
    """``wandb_process.py``, run by run, until this process ends or either of them fails."""

    def __init__(self) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in ("WANDB_MODE", "WANDB_SERVICE")}
        environment.setdefault("WANDB_ERROR_REPORTING", "false")  # else an offline run looks up a host name
        environment |= {"WANDB_SILENT": "true", "WANDB_HTTP_TIMEOUT": str(PATIENCE)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", wandb_process.__file__, str(PATIENCE), str(LOCALLY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def ask(self, messages: Iterable[tuple[Any, ...]]) -> tuple[str, str]:
        """Pass the messages on and wait for the answer: done, unfinished, unreachable or failed; and a reason."""
        assert self._process.stdin and self._process.stdout
        try:
            for message in messages:
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()
        except OSError:
            pass  # it has ended, and its answer says why
        answer = self._process.stdout.readline()
        sort, reason = json.loads(answer) if answer else ("failed", "it hung or was killed")
        return sort, reason

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Let it end, for which it gets ``PATIENCE`` seconds."""
        try:
            self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()


def _take() -> Process:
    while _idle:
        if (process := _idle.pop()).is_alive():
            return process
    return Process()


@atexit.register
def _end_idle() -> None:
    while _idle:
        _idle.pop().end()


def _folder(config: DictConfig) -> Path:
    return Path(os.environ.get("WANDB_DIR") or config.runs).absolute()


def mode_of(config: DictConfig) -> str:
    """``tracking.mode``, or what W&B's variable ``WANDB_MODE`` narrows it to. Raises ``ValueError`` for an unknown one."""
    if config.tracking.mode == "off":
        return "off"
    narrowed = os.environ.get("WANDB_MODE") or "online"
    if narrowed not in MODES:
        raise ValueError(f"WANDB_MODE={narrowed}: must be one of {', '.join(MODES)}, or not set")
    return min(config.tracking.mode, MODES[narrowed], key=("off", "offline", "online").index)


def check_key(config: DictConfig) -> None:
    """Refuse an unknown ``WANDB_MODE``, and to log online without a key, before anything is trained. Raises ``ValueError``."""
    if mode_of(config) == "online" and (why := lacks_key()):
        raise ValueError(f"tracking.mode=online: {why}; run wandb login, set WANDB_API_KEY, or use tracking.mode=offline")


def lacks_key() -> str:
    """Why there is no key that W&B could take, or ""; asks no server."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        found = wandb.login(prompt=False, verify=False)  # environment, netrc, settings
    except wandb.errors.AuthenticationError as error:
        return wandb_process.short(error)
    return "" if found else "needs a W&B key"


def reach(config: DictConfig) -> None:
    """Before a sweep: where W&B's server gives no answer, or refuses the key, let all of its runs log offline."""
    if mode_of(config) == "online" and (why := gives_no_answer()):
        go_offline(why, f"{_folder(config)}/wandb/offline-run-*")


def gives_no_answer() -> str:
    """Why W&B's server can't be used, or ""; it is asked once."""
    try:
        process = _take()
    except OSError as error:
        return str(error)
    limit = threading.Timer(LIMIT, process.kill)
    limit.start()
    try:
        sort, reason = process.ask([("check",)])
    finally:
        limit.cancel()  # else an interrupt would wait for it
    if sort == "done":
        _idle.append(process)
        return ""
    process.kill()
    return reason


def default_entity() -> str:
    """Whose projects the key opens where none is named."""
    import wandb

    return wandb.Api().default_entity or ""


def go_offline(reason: str, files: str) -> None:
    """Say why, and log offline from here on: in this process, and in those that it starts, by ``WANDB_MODE``."""
    if os.environ.get("WANDB_MODE") != "offline":
        os.environ["WANDB_MODE"] = "offline"
        complain(f"W&B can't be used online ({reason}): logging offline; upload later with wandb sync {files}")


def complain(message: str) -> None:
    """Say it once per process."""
    if message not in _said:
        _said.add(message)
        print(message, file=sys.stderr)


def _complain_of_loss(reason: str) -> None:
    complain(f"W&B failed ({reason}); training goes on, the record is kept")
