"""What the study found, in a few sentences made from the verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from analysis import wording
from analysis.claims import Claim, Claims
from analysis.rows import AGAINST, CONTRADICTED, QUALIFIED, SUPPORTED, Row
from analysis.statistics import EQUAL, REVERSED
from analysis.verdicts import Verdicts

MOST = 8
LEADS = {CONTRADICTED: "Not so", QUALIFIED: "Only in part", SUPPORTED: "So it is"}  # in this order: what surprises comes first
AGAINST_WORDS = {EQUAL: "no difference that counts", REVERSED: "the reverse"}


def sentences(claims: Claims, judged: Verdicts, most: int = MOST) -> list[str]:
    """One of each claim that runs have decided, with its clearest parts; of each topic one before a second of any."""
    found = [
        (claim, verdict)
        for verdict in LEADS
        for claim in claims.claims.values()
        if judged.overall[claim.name] == verdict and any(row.n for row in _parts(judged, claim))
    ]
    firsts: list[tuple[Claim, str]] = []
    seconds: list[tuple[Claim, str]] = []
    topics: set[str] = set()
    for claim, verdict in found:
        (seconds if claim.topic in topics else firsts).append((claim, verdict))
        topics.add(claim.topic)
    return [_sentence(claim, verdict, _parts(judged, claim)) for claim, verdict in [*firsts, *seconds][:most]]


def _parts(judged: Verdicts, claim: Claim) -> list[Row]:
    return [row for row in judged.of(claim.name) if row.part and row.effect is not None]


def _sentence(claim: Claim, verdict: str, rows: Sequence[Row]) -> str:
    holds = _clearest([row for row in rows if row.verdict == SUPPORTED])
    fails = _clearest([row for row in rows if row.verdict in AGAINST])
    shown = {SUPPORTED: [holds], CONTRADICTED: [fails], QUALIFIED: [holds, fails]}[verdict]
    evidence = ". ".join(_evidence(row) for row in shown if row is not None)
    return f"{LEADS[verdict]}: “{claim.en.rstrip('.')}” ({claim.name}). {evidence}."


def _clearest(rows: Sequence[Row]) -> Row | None:
    """The one whose effect is largest in units of its margin."""
    return max(rows, key=lambda row: abs(row.effect or 0.0) / wording.margin_unit(row), default=None)


def _evidence(row: Row) -> str:
    effect = wording.effect(row) + (f", n = {row.n}" if row.n else ", by count")
    if row.verdict == SUPPORTED:
        return f"{row.statement.rstrip('.')}: {effect}"
    return f"{row.statement.rstrip('.')}: {AGAINST_WORDS.get(row.verdict, 'not so')}, {effect}"
