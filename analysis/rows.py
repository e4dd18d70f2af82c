"""The lines of ``verdicts.csv``: a contrast with its outcome, and the words that an outcome may be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from analysis.formats import as_csv
from analysis.statistics import CONTRADICTED, EQUAL, INCONCLUSIVE, REVERSED, SUPPORTED

BY_CONSTRUCTION, NOT_RUN, QUALIFIED = "by construction", "not run", "qualified"
VERDICTS = (SUPPORTED, EQUAL, REVERSED, CONTRADICTED, QUALIFIED, INCONCLUSIVE, BY_CONSTRUCTION, NOT_RUN)
AGAINST = (CONTRADICTED, EQUAL, REVERSED)  # each speaks against a contrast's claim
DECIDED = (SUPPORTED, *AGAINST, QUALIFIED, BY_CONSTRUCTION)


@dataclass(frozen=True)
class Row:
    """Effects of relative metrics are shares. What is counted has neither p, n nor interval."""

    claim: str
    contrast: str
    statement: str
    verdict: str
    part: str = ""  # of the claim, which it decides; without one it stands beside the verdict
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None  # of the interval, which is the one that decides
    p: float | None = None
    p_holm: float | None = None  # adjusted for analyses and for the other contrasts of the claim
    decided_by: str = ""  # t | bootstrap | sign | Fisher | count
    seen: float | None = None  # smallest effect that would have been found four times in five
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
    score_a: float | None = None  # mean score of side a; of a trend or an interaction the slope or gain that it compares
    score_b: float | None = None
    solved: str = ""  # of each side, how many runs solve the task on the test split
    ended: str = ""  # how the runs of each side ended
    collapsed: str = ""  # runs far under their cell's median, or that lost what they had learned
    cap: str = ""  # steps that a run may take
    steps: str = ""  # median of those that the runs of each side took
    parameters: str = ""  # of each side, embeddings included
    rates: str = ""  # whether the learning rates of both sides are bracketed, else whose lies on the edge of what was tried
    stable: str = ""  # how many of its repeats at other sizes agree
    registered: str = ""  # whether it stood so before its first run: see ``analysis.registration``
    published: str = ""  # figures of the claim in the literature
    reason: str = ""
    claim_verdict: str = ""


def write(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_csv(map(vars, rows), [field.name for field in fields(Row)]), encoding="utf-8")
