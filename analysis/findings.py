"""What was found, in sentences made from verdicts: README, ``VERDICTS.md``, the tables and the page all take them from here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis import rules, wording
from analysis.claims import Claim, Claims
from analysis.rows import AGAINST, CONTRADICTED, NOT_RUN, QUALIFIED, SUPPORTED, Row
from analysis.statistics import BY_COUNT, EQUAL, INCONCLUSIVE
from analysis.verdicts import Verdicts

MOST = 7  # beside the count of all claims
KINDS = (CONTRADICTED, QUALIFIED, SUPPORTED, EQUAL)  # of decided claims, told in turn, so that none crowds out the others


@dataclass(frozen=True)
class Said:
    """``text`` stands on its own; ``claim`` and ``verdict`` are there for a link and a mark."""

    claim: str
    verdict: str
    text: str


@dataclass(frozen=True)
class _Finding:
    """A claim with the clearest of its parts that hold, and of those that do not."""

    claim: Claim
    verdict: str
    shown: list[Row]

    @property
    def kind(self) -> str:
        """Its verdict; or ``EQUAL`` where what contradicts the claim is in each of its parts that two things are equal."""
        equal = self.verdict == CONTRADICTED and all(row.verdict == EQUAL for row in self.shown)
        return EQUAL if equal else self.verdict


def sentences(claims: Claims, judged: Verdicts, most: int = MOST) -> list[Said]:
    """One for each of the claims that tell most: of each kind in turn, of each topic one before a second of any.

    Claims that are left open follow where there is room, with what is decided of them.
    """
    found = [one for claim in claims.claims.values() if (one := _finding(claim, judged)).shown]
    decided = _in_turn(found, KINDS, most)
    return [_sentence(one) for one in [*decided, *_in_turn(found, (INCONCLUSIVE,), most - len(decided))]]


def answers(experiment: str, rows: Iterable[Row]) -> list[Said]:
    """What an experiment's runs say of each part of a claim that they are to decide."""
    own = [row for row in rows if row.experiment == experiment and row.part and row.verdict != NOT_RUN]
    return [Said(row.claim, row.verdict, f"{_told(row, _measured(row), _why_open(row))}.") for row in own]


def _finding(claim: Claim, judged: Verdicts) -> _Finding:
    parts = [row for row in judged.of(claim.name) if row.part and row.effect is not None]
    sides = [[row for row in parts if row.verdict == SUPPORTED], [row for row in parts if row.verdict in AGAINST]]
    return _Finding(claim, judged.overall[claim.name], [max(rows, key=_weight) for rows in sides if rows])


def _in_turn(found: Iterable[_Finding], kinds: Sequence[str], most: int) -> list[_Finding]:
    told: list[_Finding] = []
    left = [one for one in found if one.kind in kinds]
    left.sort(key=lambda one: max(map(_weight, one.shown)), reverse=True)
    while left and len(told) < most:
        for kind in kinds:
            topics = [one.claim.topic for one in told]
            if own := [one for one in left if one.kind == kind]:
                told.append(first := min(own, key=lambda one: topics.count(one.claim.topic)))
                left.remove(first)
    return told[: max(0, most)]


def _weight(row: Row) -> tuple[bool, float]:
    """What runs decide comes before what is counted, then what is larger in units of its margin."""
    return bool(row.n), abs(row.effect or 0.0) / wording.margin_unit(row)


def _sentence(found: _Finding) -> Said:
    lead = f"“{found.claim.en.rstrip('.')}” {wording.OF_CLAIMS[found.verdict][0]}"
    parts = [
        _told(row, _measured(row) if row.verdict == SUPPORTED else f"{wording.MEANINGS[row.verdict]}, {_measured(row)}")
        for row in found.shown
    ]
    return Said(found.claim.name, found.verdict, f"{lead}. {'. '.join(parts)}.")


def _told(row: Row, measured: str, further: str = "") -> str:
    return "".join((row.statement.rstrip("."), f": {measured}" if measured else "", further))


def _measured(row: Row) -> str:
    """The scores, then the effect with its interval: "97.0 % against 81.5 % (+15.5 points [+12.0, +19.0], n = 5)"."""
    about_sameness = row.verdict == EQUAL or rules.known()[row.rule].sameness or (row.margin or 0.0) < 0
    seeds = f"n = {row.n}" if row.n else "by count" if row.decided_by == BY_COUNT else ""
    effect = ", ".join(filter(None, (wording.effect(row), wording.held_to(row) if about_sameness else "", seeds)))
    scores = wording.levels(row)
    return f"{scores} ({effect})" if scores and effect else scores or effect


def _why_open(row: Row) -> str:
    return f"; open, since {row.reason.split('; ')[0]}" if row.verdict == INCONCLUSIVE and row.reason else ""
