"""The program that W&B runs in, apart from training: whatever hangs or dies here can be killed and costs no run.

Started by ``study.training.tracking``. Each line of its input is a JSON list, ``[call, argument, ...]``, that names a method
of ``Log``. A line of output, ``["done", ""]``, answers ``check``, ``open`` and ``close``. Other answers say what went wrong:
``unfinished`` (the files of a run are whole, its upload is not), ``unreachable`` (the server) and ``failed`` (W&B); after these
two it ends. Where its input ends, a run that is still open is closed as one that did not end well.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

GRACE = 2.0  # seconds beyond W&B's own time limit after which a call counts as hanging


class Unreachable(Exception):
    """The server gives no answer, or refuses the key."""


class Log:
    """W&B's runs, one after another. ``patience``: seconds that its server, or its service, gets for one answer."""

    def __init__(self, patience: int, answers: TextIO):
        self.patience = patience
        self.answers = answers
        self.run: Any = None
        self.reached = False

    def check(self) -> None:
        """Whether the server knows the key."""
        self._reach()
        self.answer("done")

    def open(self, mode: str, settings: Mapping[str, Any]) -> None:
        import wandb

        if mode == "online" and not self.reached:
            self._reach()  # first, since a run that can't be begun leaves an empty folder
        os.makedirs(settings["dir"], exist_ok=True)
        if not os.access(settings["dir"], os.W_OK):
            raise PermissionError(f"{settings['dir']} can't be written")  # W&B would take the system's folder for files
        limits = wandb.Settings(
            init_timeout=self.patience,
            finish_timeout=self.patience,
            finish_timeout_raises=True,
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
            x_transaction_log_flush_interval=1.0,
        )
        how: Any = {"mode": mode, "resume": "allow" if mode == "online" else None, "reinit": "create_new"}
        try:
            with self._limited():
                self.run = wandb.init(settings=limits, **how, **settings)
        except wandb.errors.Error as error:
            if mode == "online":
                raise Unreachable(short(error)) from None
            raise
        self.answer("done")

    def log(self, values: Mapping[str, Any], step: int) -> None:
        with self._limited():
            self.run.log(values, step=step)

    def log_images(self, pictures: Mapping[str, list[list[int]]], step: int) -> None:
        """Pictures of grey values, (height, width) each, 0 to 255."""
        import numpy
        import wandb

        with self._limited():
            self.run.log({key: wandb.Image(numpy.array(rows, "uint8")) for key, rows in pictures.items()}, step=step)

    def summarise(self, fields: Mapping[str, Any]) -> None:
        with self._limited():
            self.run.summary.update(fields)

    def close(self, exit_code: int) -> None:
        run, self.run = self.run, None
        try:
            with self._limited():
                run.finish(exit_code=exit_code)
        except TimeoutError:
            self.answer("unfinished", os.path.dirname(run.settings.sync_file))
        else:
            self.answer("done")

    def answer(self, sort: str, reason: str = "") -> None:
        with suppress(BrokenPipeError):  # the training process was killed
            print(json.dumps([sort, reason]), file=self.answers, flush=True)

    def _reach(self) -> None:
        import wandb

        started = time.monotonic()
        try:
            with self._limited():
                wandb.login(prompt=False, verify=True)
        except wandb.errors.Error as error:
            silent = time.monotonic() - started >= self.patience
            raise Unreachable(f"no answer within {self.patience} s" if silent else short(error)) from None
        self.reached = True

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Ends the whole program where W&B hangs."""
        faulthandler.dump_traceback_later(self.patience + GRACE, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def short(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the training process closes its run; then this program's input ends
    calls, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)  # W&B's service inherits 0 and 1, and must not hold the ends of these pipes
    os.dup2(0, 1)
    log = Log(int(sys.argv[1]), answers)
    try:
        for line in calls:
            call, *arguments = json.loads(line)
            getattr(log, call)(*arguments)
        if log.run is not None:
            log.close(1)
    except Exception as error:
        log.answer("unreachable" if isinstance(error, Unreachable) else "failed", short(error))
        os._exit(1)  # W&B's own handlers at exit wait without a limit
    faulthandler.dump_traceback_later(log.patience + GRACE, exit=True)  # here, too


if __name__ == "__main__":
    main()
