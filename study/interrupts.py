"""Ctrl-C, SIGTERM and a scheduler's warning end a run or a sweep cleanly: it is closed and can be resumed.

The processes that joblib starts end with the one that launched them, even if that is killed outright. Jobs of Slurm and
tasks of Ray belong to their cluster: Ray ends those of a launcher that is gone, Slurm lets them run on.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 10.0  # seconds that workers get to close their runs
ORPHANS_PATIENCE = 5.0  # seconds that a worker gets whose launcher is gone
SECONDS_BETWEEN_CHECKS = 1.0
# A scheduler's warnings that the job will be stopped soon; submitit handles one of them, if it started the job.
WARNINGS = {number for number in signal.Signals if number.name in ("SIGUSR1", "SIGUSR2")}
_received: list[list[int]] = []  # the signals that came, of each ``orderly`` that this process is within


@contextmanager
def orderly() -> Iterator[None]:
    """Within it, the first SIGINT or SIGTERM stops this process's workers and raises ``KeyboardInterrupt``.

    So does a scheduler's warning that this process handles; once all is closed, it goes to the handler it was meant for.
    Further signals are ignored until it ends, so that nothing breaks off the closing. Only the main thread is served.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    _received.append(received)

    def stop(number: int, *_: Any) -> None:
        received.append(number)
        if len(received) > 1:
            return
        workers = multiprocessing.active_children()
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(PATIENCE)
        raise KeyboardInterrupt

    served = {signal.SIGINT, signal.SIGTERM} | {number for number in WARNINGS if callable(signal.getsignal(number))}
    before = {number: signal.signal(number, stop) for number in served}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _received.pop()
        if received and received[0] in WARNINGS:
            signal.raise_signal(received[0])


def check() -> None:
    """For what goes on step by step: raise the ``KeyboardInterrupt`` again, should it have been lost.

    Python drops one that comes while it finalizes an object.
    """
    if any(_received):
        raise KeyboardInterrupt


def is_worker() -> bool:
    """Whether another program made this process to carry out its tasks: joblib, or a Ray cluster."""
    ray = sys.modules.get("ray")
    of_ray = ray is not None and ray.is_initialized() and ray.get_runtime_context().get_task_id() is not None
    return of_ray or multiprocessing.parent_process() is not None


def end_with_launcher() -> None:
    """For the start of a worker: end it once the process that made it is gone, closing its run if there is time."""
    launcher = multiprocessing.parent_process()
    assert launcher is not None
    threading.Thread(target=_watch, args=[launcher.pid], daemon=True).start()


def _watch(launcher: int | None) -> None:
    while os.getppid() == launcher:
        time.sleep(SECONDS_BETWEEN_CHECKS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHANS_PATIENCE)
    os._exit(1)
