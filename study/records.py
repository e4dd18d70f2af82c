"""Records: one JSON object per run, written last and atomically; and where a run's results come from (provenance).

A run's folder holds ``config.yaml``, ``history.jsonl``, while it trains ``last.ckpt``, and at its end ``record.json``.
Committed records are the same objects, one per line, in ``results/<tier>/records/<experiment>.jsonl``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "results"  # committed records
SCHEMA = 1
NAME = "record.json"
STATUSES = ("finished", "diverged", "failed")

Record = dict[str, Any]


class RecordError(ValueError):
    """A record that can't be believed: truncated, edited by hand, or of another schema."""


def checksum(record: Mapping[str, Any]) -> str:
    """sha256 of the record without its own checksum."""
    body = {key: value for key, value in record.items() if key != "checksum"}
    return hashlib.sha256(_dump(body).encode()).hexdigest()


def write(folder: Path, record: Mapping[str, Any]) -> Record:
    """Write ``record.json`` whole or not at all; the old one stays until the new one is on the disk."""
    sealed = {"schema": SCHEMA, **record}
    sealed = json.loads(_dump(sealed))  # as it will be read: keys are strings, tuples are lists
    sealed["checksum"] = checksum(sealed)
    replace_atomically(folder / NAME, _dump(sealed) + "\n")
    return sealed


def read(path: Path) -> Record:
    """Read one record file. Raises ``RecordError`` saying what is wrong and what would do."""
    return parse(path.read_text(encoding="utf-8", errors="replace"), str(path))


def parse(text: str, where: str) -> Record:
    try:
        record = json.loads(text, parse_constant=_no_constant, parse_float=_finite_float)
    except ValueError as error:
        raise RecordError(f"{where}: not a whole JSON record ({error}); remove it and launch the run again") from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or record.get("status") not in STATUSES:
        raise RecordError(f"{where}: not a record of schema {SCHEMA}; remove it and launch the run again")
    if record.get("checksum") != checksum(record):
        raise RecordError(f"{where}: its checksum does not fit, so it was edited; remove it and launch the run again")
    return record


def load_runs(folder: Path) -> Iterator[Record | RecordError]:
    """Every record of a folder of fresh runs, by run name; what can't be believed comes as the error that says why."""
    for path in sorted(folder.glob(f"*/{NAME}")):
        try:
            yield read(path)
        except RecordError as error:
            yield error


def load_lines(path: Path) -> Iterator[Record | RecordError]:
    """Every record of a JSON-lines file."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield parse(line, f"{path}:{number}")
            except RecordError as error:
                yield error


def committed(tier: str, experiment: str, results: Path | None = None) -> Path:
    """Where the committed records of an experiment lie."""
    return (results or RESULTS) / tier / "records" / f"{experiment}.jsonl"


def write_lines(path: Path, records: list[Record]) -> None:
    """Write records as JSON lines, in an order that does not depend on when they were made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(records, key=lambda record: record["name"])
    replace_atomically(path, "".join(_dump(record) + "\n" for record in ordered))


def replace_atomically(path: Path, text: str) -> None:
    """Write beside ``path`` and rename: a reader, a kill or a full disk never sees or leaves half a file there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def finite(value: Any) -> Any:
    """``value`` with NaN and infinities made null, so that they can't be taken for numbers."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def git_state(folder: Path) -> dict[str, Any]:
    """Revision and whether the tree was clean; both null outside a git checkout."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    revision = git("rev-parse", "--verify", "HEAD")
    return {"revision": revision, "clean": revision and not git("status", "--porcelain", "--untracked-files=no")}


def versions(*packages: str) -> dict[str, str]:
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # 1e999
        _no_constant(text)
    return number
