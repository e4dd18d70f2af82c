"""The program that W&B runs in, apart from training: whatever hangs or dies here can be killed and costs no run.

Started by ``study.training.tracking``. Each line of its input is a JSON list, ``[call, argument, ...]``, that names a method
of ``Log``. A line of output, ``["done", ""]``, answers ``check``, ``open`` and ``close``. Other answers say what went wrong:
``unfinished`` (a run was logged, its upload is not whole), ``unreachable`` (the server) and ``failed`` (W&B); after these
two it ends. Where its input ends, a run that is still open is closed as one that did not end well.
"""

from __future__ import annotations

import base64
import faulthandler
import io
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).parents[2]
GRACE = 5.0  # seconds beyond W&B's own time limit after which a call counts as hanging


class Unreachable(Exception):
    """The server gives no answer, or refuses the key."""


class Log:
    """W&B's runs, one after another. ``patience``: seconds that its server gets for one answer; ``locally``: seconds for a call
    that asks no server.
    """

    def __init__(self, patience: int, locally: int, answers: TextIO):
        self.patience = self.limit = patience
        self.locally = locally
        self.answers = answers
        self.run: Any = None
        self.reached = False

    def check(self) -> None:
        """Whether the server knows the key."""
        self._reach()
        self.answer("done")

    def open(self, mode: str, settings: Mapping[str, Any], command: str) -> None:
        """Begin a run; ``command`` is what repeats it."""
        import wandb

        if mode == "online" and not self.reached:
            self._reach()  # first, since a run that can't be begun leaves an empty folder
        os.makedirs(settings["dir"], exist_ok=True)
        if not os.access(settings["dir"], os.W_OK):
            raise PermissionError(f"{settings['dir']} can't be written")  # W&B would take the system's folder for files
        offline = mode == "offline"  # git, code and machine are in the record as well, and take time
        self.limit = self.locally if offline else self.patience
        sys.argv[1:] = shlex.split(command)[2:]  # after "python run.py"; W&B shows it as the run's own
        limits = wandb.Settings(
            init_timeout=self.limit,
            finish_timeout=self.limit,
            finish_timeout_raises=True,
            silent=True,
            console="off",
            disable_git=offline,
            disable_code=offline,
            save_code=not offline,
            program="run.py",
            program_relpath="run.py",
            program_abspath=str(ROOT / "run.py"),
            x_disable_stats=offline,
            x_disable_meta=offline,
            x_disable_machine_info=offline,
            x_save_requirements=not offline,
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

    def define(self, step: str, kept: Mapping[str, str | None]) -> None:
        """Keys of the history, drawn over ``step``, each with what the summary keeps of it."""
        with self._limited():
            self.run.define_metric(step, hidden=True, summary="none")
            for key, summary in kept.items():
                self.run.define_metric(key, step_metric=step, summary=summary)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        with self._limited():
            self.run.log(values, step=step)

    def log_image(self, key: str, png: str, caption: str, step: int) -> None:
        """A picture as PNG, in base64."""
        import wandb
        from PIL import Image

        with self._limited():
            picture = Image.open(io.BytesIO(base64.b64decode(png)))
            self.run.log({key: wandb.Image(picture, caption=caption)}, step=step)

    def summarise(self, fields: Mapping[str, Any]) -> None:
        with self._limited():
            self.run.summary.update(fields)

    def keep(self, sort: str, identity: str, path: str) -> None:
        """A file as an artifact, uploaded from where it lies."""
        import wandb

        with self._asking():
            artifact = wandb.Artifact(f"{sort}-{identity}", sort)
            artifact.add_file(path, policy="immutable", skip_cache=True)
            self.run.log_artifact(artifact)

    def close(self, exit_code: int, label: str = "") -> None:
        """End the run; with a label, its folder is called by it instead of the time at which it began."""
        run, self.run = self.run, None
        folder = Path(run.settings.sync_file).parent
        try:
            with self._limited():
                run.finish(exit_code=exit_code)
        except TimeoutError:
            self.answer("unfinished", f"its upload takes over {self.limit} s")
            return
        if label:
            rename(folder, f"{run.settings.run_mode}-{label}")
        self.answer("done")

    def answer(self, sort: str, reason: str = "") -> None:
        with suppress(BrokenPipeError):  # the training process was killed
            print(json.dumps([sort, reason]), file=self.answers, flush=True)

    def _reach(self) -> None:
        import wandb

        self.limit = self.patience
        with self._asking():
            wandb.login(prompt=False, verify=True)
        self.reached = True

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What the server is asked. Raises ``Unreachable`` where it gives no answer, or a bad one."""
        import wandb

        started = time.monotonic()
        try:
            with self._limited():
                yield
        except wandb.errors.Error as error:
            silent = time.monotonic() - started >= self.limit
            raise Unreachable(f"no answer within {self.limit} s" if silent else short(error)) from None

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Ends the whole program where W&B hangs."""
        faulthandler.dump_traceback_later(self.limit + GRACE, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def rename(folder: Path, name: str) -> None:
    """Rename a run's folder, whose name is all that ``wandb leet`` shows of it, and W&B's link to the latest one."""
    free = (folder.with_name(name + ending) for ending in ("", *(f"-{n}" for n in range(2, 1000))))
    other = next(path for path in free if not path.exists())
    latest = folder.with_name("latest-run")
    with suppress(OSError):
        was_latest = latest.resolve() == folder.resolve()
        folder.rename(other)
        if was_latest:
            latest.unlink()
            latest.symlink_to(other.name)


def short(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the training process closes its run; then this program's input ends
    calls, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)  # W&B's service inherits 0 and 1, and must not hold the ends of these pipes
    os.dup2(0, 1)
    log = Log(int(sys.argv[1]), int(sys.argv[2]), answers)
    try:
        for line in calls:
            call, *arguments = json.loads(line)
            getattr(log, call)(*arguments)
        if log.run is not None:
            log.close(1)
    except Exception as error:
        log.answer("unreachable" if isinstance(error, Unreachable) else "failed", short(error))
        os._exit(1)  # W&B's own handlers at exit wait without a limit
    faulthandler.dump_traceback_later(log.limit + GRACE, exit=True)  # here, too


if __name__ == "__main__":
    main()
