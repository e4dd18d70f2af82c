"""The lines of ``verdicts.csv``: a contrast with its outcome, and the words that an outcome may be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from analysis.formats import as_csv
from analysis.statistics import CONTRADICTED, INCONCLUSIVE, SUPPORTED

BY_CONSTRUCTION, NOT_RUN, QUALIFIED = "by construction", "not run", "qualified"
VERDICTS = (SUPPORTED, CONTRADICTED, QUALIFIED, INCONCLUSIVE, BY_CONSTRUCTION, NOT_RUN)
DECIDED = (SUPPORTED, CONTRADICTED, QUALIFIED, BY_CONSTRUCTION)


@dataclass(frozen=True)
class Row:
    """Effects of relative metrics are shares."""

    claim: str
    contrast: str
    statement: str
    verdict: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    p: float | None = None
    p_holm: float | None = None
    n: int | None = None
    dropped: int | None = None  # planned pairs without a score on both sides
    margin: float | None = None
    metric: str = ""
    rule: str = ""
    scope: str = ""
    experiment: str = ""
    task: str = ""
    tier: str = ""
    device: str = ""
    revision: str = ""
    counts: bool = True
    reason: str = ""
    claim_verdict: str = ""


def write(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_csv(map(vars, rows), [field.name for field in fields(Row)]), encoding="utf-8")
