"""Ctrl-C and SIGTERM end a run or a sweep in order: the current run is closed, and everything can be gone on with."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 10.0  # seconds that workers get to close their runs


@contextmanager
def orderly() -> Iterator[None]:
    """Within it, the first SIGINT or SIGTERM stops this process's workers and raises ``KeyboardInterrupt``.

    Further ones are ignored until it ends, so that nothing breaks off the closing. Only the main thread is served.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stopping = False

    def stop(*_: Any) -> None:
        nonlocal stopping
        if stopping:
            return
        stopping = True
        workers = multiprocessing.active_children()
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(PATIENCE)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_worker() -> bool:
    """Whether another Python process made this one to carry out its tasks (joblib does)."""
    return multiprocessing.parent_process() is not None
