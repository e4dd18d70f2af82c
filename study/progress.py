"""What is done and what is left, while it is made: a bar on a terminal, elsewhere a line every ten seconds at most."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_LOOKS = 0.5
PATIENCE = 10.0  # seconds that the last look may take: what is shown must not hold up the end


@dataclass(frozen=True)
class State:
    """How far a launch is. ``seconds`` is the time that the rest will take, None where nothing tells it yet."""

    doing: str
    done: int
    planned: int
    unit: str
    seconds: float | None = None
    note: str = ""

    def words(self) -> str:
        left = "" if self.seconds is None else f"about {duration(self.seconds)} to go"
        return ", ".join(filter(None, (f"{self.done} of {self.planned} {self.unit}", self.note, left)))


class Display:
    """Shows states of one launch. Where there is no terminal, only those that differ, and not too many of them."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(stderr=True, emoji=False)
        self.last: State | None = None
        self.when = time.monotonic()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """On a terminal, a bar stands at its foot within this."""
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
            redirect_stdout=False,
        )
        self.task = self.bar.add_task("", total=None, words="")
        with self.bar:
            yield

    def show(self, state: State) -> None:
        if self.console.is_terminal:
            self.bar.update(self.task, description=state.doing, completed=state.done, total=state.planned, words=state.words())
        elif state != self.last and time.monotonic() - self.when >= SECONDS_BETWEEN_LINES:
            self.last, self.when = state, time.monotonic()
            self.say(f"{state.doing}: {state.words()}")

    def say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def watching(self, look: Callable[[], State]) -> Iterator[None]:
        """Look at it again and again from a thread of its own, until this ends."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(SECONDS_BETWEEN_LOOKS):
                self.show(look())
            self.show(look())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(PATIENCE)


class Files:
    """Which files of some have been written since this was made; read from the disk, so it holds under every launcher."""

    def __init__(self, paths: list[Path]):
        self.left = {path: written(path) for path in paths}

    def new(self) -> list[Path]:
        """Those written since the last call."""
        found = [path for path, before in self.left.items() if written(path) not in (None, before)]
        for path in found:
            del self.left[path]
        return found


def written(path: Path) -> int | None:
    """When a file was written last; None where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def duration(seconds: float) -> str:
    """Whole seconds below two minutes, then minutes below two hours, then hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
