"""Files and folders that appear whole or not at all, and what killed processes left of them."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".tmp"
DAY = 24 * 60 * 60.0


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write a file or fill a folder at; at the end it takes the place of ``path``.

    A reader, a kill or a full disk never sees or leaves half of it there. Where the block raises, what was there stays. A
    folder is missing for a moment, since none can be renamed over another.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{SUFFIX}")
    try:
        yield temporary
        if temporary.is_dir():
            remove(path)
        else:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        remove(temporary)


def sweep(folder: Path, pattern: str = f".*{SUFFIX}", age: float = 0.0) -> None:
    """Remove what killed processes left half written in ``folder``: names that fit ``pattern``, untouched for ``age`` seconds.

    With age 0 the caller must be the only writer there, by a lock.
    """
    for path in folder.glob(pattern):
        with suppress(OSError):  # gone, or another user's
            if time.time() - path.lstat().st_mtime >= age:
                remove(path)


def remove(path: Path) -> None:
    """A file, a link or a folder with all in it; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
