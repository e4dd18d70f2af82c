"""Records: one JSON object per run, written last and atomically; and where a run's results come from (provenance).

A run's folder holds ``config.yaml``, ``history.jsonl``, while it trains ``last.ckpt``, and at its end ``record.json``.
Committed records are the same objects, one per line, in ``results/<tier>/records/<experiment>.jsonl``.

What a reader may rely on is declared in ``study.record_fields.Record``; a record that differs comes as a ``RecordError``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
import reprlib
import subprocess
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study import files

RESULTS = Path(__file__).parent.parent / "results"  # committed records
SCHEMA = 1
NAME = "record.json"
WEIGHTS = "weights.pt"  # beside it, where they were to be kept
CHECKPOINT = "last.ckpt"  # what an interrupted run goes on from

STATUSES = ("finished", "diverged", "failed")
LARGEST = 1e150  # of numbers: squares and products of such are numbers still
LARGEST_WHOLE = 2**53  # up to here every whole number is a float, too
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,249}")

if TYPE_CHECKING:
    from study.record_fields import Record
else:
    Record = dict[str, Any]


class RecordError(ValueError):
    """An invalid record: truncated, edited by hand, of another schema or structure, or no readable file."""


def checksum(record: Mapping[str, Any]) -> str:
    """sha256 of the record without its own checksum."""
    return _digest(_body(record))


def write(folder: Path, record: Mapping[str, Any]) -> Record:
    """Write ``record.json`` whole or not at all; the old one stays until the new one is on the disk.

    Raises ``RecordError`` that names the field, and writes nothing, where ``read`` would refuse it.
    """
    sealed = {"schema": SCHEMA, **record}
    sealed = json.loads(_dump(sealed).encode(errors="replace"))  # as it will be read: string keys, lists, no lone surrogates
    sealed["checksum"] = checksum(sealed)
    try:
        _check(sealed)
    except ValueError as error:
        raise RecordError(str(error)) from None
    replace_atomically(folder / NAME, _dump(sealed) + "\n")
    return sealed


def read(path: Path, name: str | None = None) -> Record:
    """Read one record file, with ``name`` only as the record of that run.

    Raises ``RecordError`` saying what is wrong and how to fix it, ``FileNotFoundError`` where there is nothing, and another
    ``OSError`` where the machine is at fault.
    """
    record = parse(_text(_bytes(path)), str(path))
    if name not in (None, record["name"]):
        raise _ill(path, f"the record of another run, {record['name']}")
    return record


def parse(text: str, where: str) -> Record:
    """The record written in ``text``; ``where`` says where it stands. Raises ``RecordError``."""
    written = text.strip()
    try:
        record = json.loads(written, parse_constant=_no_constant, parse_float=_finite_float)
    except (ValueError, RecursionError) as error:
        raise _ill(where, f"not a whole JSON record ({error})") from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or record.get("status") not in STATUSES:
        raise _ill(where, f"not a record of schema {SCHEMA}")
    seal = record.get("checksum")
    try:
        fits = _digest(written.replace(f'"checksum":"{seal}",', "", 1)) == seal
        if not fits:  # edited, or laid out in another way, where a key may be there twice
            json.loads(written, object_pairs_hook=_no_key_twice)
            fits = _digest(_body(record)) == seal
    except (ValueError, RecursionError) as error:
        raise _ill(where, f"not a record that can be sealed ({error})") from None
    if not fits:
        raise _ill(where, "its checksum does not fit, so it was edited")
    try:
        return _check(record)
    except ValueError as error:
        raise _ill(where, str(error)) from None


def load_runs(folder: Path) -> Iterator[Record | RecordError]:
    """Every record of a folder of fresh runs, by run name; an invalid one comes as the error that says why."""
    for run in sorted(folder.iterdir()):
        try:
            yield read(run / NAME)
        except RecordError as error:
            yield error
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            yield _unreadable(run / NAME, error)


def load_lines(path: Path) -> Iterator[Record | RecordError]:
    """Every record of a JSON-lines file; an invalid one, or an unreadable file, comes as the error that says why."""
    try:
        lines = _bytes(path).splitlines()
    except RecordError as error:
        yield error
        return
    except OSError as error:
        yield _unreadable(path, error)
        return
    for number, line in enumerate(lines, 1):
        try:
            yield parse(_text(line), f"{path}:{number}")
        except RecordError as error:
            yield error


def put_aside(path: Path) -> Path:
    """Rename what lies at ``path`` (a file, a folder, a dangling link) to a name that is free; returns that."""
    names = (path.with_name(f"{path.name}.unreadable{ending}") for ending in ("", *(f"-{n}" for n in range(2, 1000))))
    other = next(name for name in names if not os.path.lexists(name))
    os.rename(path, other)
    return other


def committed(tier: str, experiment: str, results: Path | None = None) -> Path:
    """Where the committed records of an experiment lie."""
    return (results or RESULTS) / tier / "records" / f"{experiment}.jsonl"


def write_lines(path: Path, records: list[Record]) -> None:
    """Write records as JSON lines, in an order that does not depend on when they were made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(records, key=lambda record: record["name"])
    replace_atomically(path, "".join(_dump(record) + "\n" for record in ordered))


def replace_atomically(path: Path, text: str) -> None:
    """Write ``path`` whole or not at all."""
    with files.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


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


def _check(record: Any) -> Record:
    """Raises ``ValueError``. What it needs is slow to import, and not needed to refuse a command line."""
    from study import record_fields

    return record_fields.check(record)


def _ill(where: str | Path, why: str) -> RecordError:
    return RecordError(f"{where}: {why}; remove it and launch the run again")


def _bytes(path: Path) -> bytes:
    try:
        if os.path.lexists(path) and not path.is_file():
            raise _ill(path, "no file, but a folder, a pipe or a link to nothing")
        return path.read_bytes()
    except PermissionError as error:
        raise _unreadable(path, error) from None


def _text(data: bytes) -> str:
    """Bytes that are not UTF-8 become lone surrogates, with which no record can have a checksum."""
    return data.decode("utf-8", "surrogateescape")


def _unreadable(path: Path, error: OSError) -> RecordError:
    return _ill(path, f"can't be read ({error.strerror})")


def _body(record: Mapping[str, Any]) -> str:
    return _dump({key: value for key, value in record.items() if key != "checksum"})


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # 1e999
        _no_constant(text[:20])
    return number


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed = dict(pairs)
    if len(parsed) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {reprlib.repr(next(key for key in keys if keys.count(key) > 1))} is there twice")
    return parsed
