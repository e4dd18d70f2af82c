"""A cache on disk whose entries are named by what they are made of: never stale, never half written."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from study import files


def cached(cache: Path, kind: str, made_of: Any, make: Callable[[Path], None]) -> Path:
    """The folder cache/kind-HASH, filled by `make` where it isn't there; HASH is of `made_of` (plain data).

    Two processes that make it at once don't meet: each fills a folder of its own, and the first to be done names it.
    """
    key = hashlib.sha256(json.dumps([kind, made_of], sort_keys=True).encode()).hexdigest()
    folder = cache / f"{kind}-{key[:24]}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    files.sweep(cache, ".part-*", files.DAY)  # younger ones may be another process's
    own = Path(tempfile.mkdtemp(dir=cache, prefix=".part-"))
    try:
        make(own)
        os.chmod(own, 0o755)  # temporary folders are private
        own.rename(folder)
    except OSError:
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(own, ignore_errors=True)
    return folder


def sha256(path: Path) -> str:
    """The hash of a file's bytes; a file is read again only when its size or time of change is another."""
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
