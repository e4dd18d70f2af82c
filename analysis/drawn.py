"""Which records a figure was drawn from, so that none stands beside numbers of others."""

from __future__ import annotations

import hashlib
from pathlib import Path

from analysis.results import Results


def note(folder: Path, results: Results) -> None:
    """Beside the figure of an experiment that has just been drawn."""
    _mark(folder, results).write_text(_records(results), encoding="utf-8")


def svg(folder: Path, results: Results) -> Path | None:
    """The figure of an experiment, where one was drawn from these records."""
    path, mark = _mark(folder, results).with_suffix(".svg"), _mark(folder, results)
    fits = path.is_file() and mark.is_file() and mark.read_text(encoding="utf-8") == _records(results)
    return path if fits else None


def _mark(folder: Path, results: Results) -> Path:
    return folder / f"{results.experiment.name}.records"


def _records(results: Results) -> str:
    checksums = sorted(record["checksum"] for record in results.records)
    return hashlib.sha256("\n".join(checksums).encode()).hexdigest() + "\n"
