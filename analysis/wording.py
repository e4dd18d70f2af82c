"""Outcomes in words: an effect with its unit, and readings in sentences made from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analysis import rules
from analysis.claims import Claim
from analysis.formats import number, three_digits
from analysis.rows import AGAINST, NOT_RUN, VERDICTS, Row
from analysis.rules.base import Unit
from analysis.statistics import BY_COUNT, CONTRADICTED, EQUAL, INCONCLUSIVE, REVERSED, SUPPORTED
from study.metrics import METRICS, Metric

HOW = {EQUAL: "the two are equal", REVERSED: "the reverse is so", CONTRADICTED: "not so"}  # what speaks against a statement


def verdict(row: Row) -> str:
    """In words, with how it was come by where that was no test on runs."""
    return f"{row.verdict}, by count" if row.decided_by == BY_COUNT else row.verdict


def effect(row: Row) -> str:
    """A contrast's effect with its interval, such as "+3.1 points [+1.0, +5.2]"."""
    if row.effect is None:
        return ""
    unit = _unit(row)
    text = f"{unit.factor * row.effect:+.{unit.digits}f}{unit.words}"
    if row.low is not None and row.high is not None:
        text += f" [{unit.factor * row.low:+.{unit.digits}f}, {unit.factor * row.high:+.{unit.digits}f}]"
    return text


def levels(row: Row) -> str:
    """The mean scores of both sides, such as "97.0 % against 81.5 %"; of a trend or an interaction what it compares."""
    if row.score_a is None or row.score_b is None:
        return ""
    if rules.known()[row.rule].gains:
        unit = _unit(row)
        return " against ".join(f"{unit.factor * value:+.{unit.digits}f}{unit.words}" for value in (row.score_a, row.score_b))
    metric = _metric(row)
    assert metric is not None
    scores = (row.score_a, row.score_b)
    return " against ".join(three_digits(score) if metric.relative else number(score, metric) for score in scores)


def asked(row: Row) -> str:
    """What the interval has to do for the contrast to hold: exceed a margin ("> 2"), or lie within it ("± 2")."""
    if row.margin is None or row.effect is None:
        return ""
    return f"{rules.known()[row.rule].asks} {_unit(row).factor * row.margin:g}"


def seen(row: Row) -> str:
    """The smallest effect that would have been found, in the unit of its effect."""
    return "" if row.seen is None else f"{_unit(row).factor * row.seen:.{_unit(row).digits}f}"


def margin_unit(row: Row) -> float:
    """What an effect is measured in where effects of several metrics stand on one axis: its margin, else a tenth."""
    if row.margin:
        return abs(row.margin)
    metric = _metric(row)
    return 0.1 if rules.known()[row.rule].own_unit or metric is None else metric.margin or 0.1


def reading(claim: Claim, rows: Sequence[Row], verdict: str) -> str:
    """A claim's verdict: what was found, where it holds and fails, and how far it goes."""
    counted = [row for row in rows if row.part and row.contrast]
    if verdict == NOT_RUN:
        return f"Not run: {claim.nothing_to_run or 'no record bears on this claim yet'}."
    lead = f"{claim.name} is {verdict}" if verdict != INCONCLUSIVE else f"{claim.name} stays inconclusive"
    sentences = [f"{lead}: {tally(counted)}."]
    if against := _against(counted):
        sentences.append(f"Against it: {against}.")
    if opened := [row for row in counted if row.verdict == INCONCLUSIVE]:
        sentences.append(f"Open, since {'; '.join(dict.fromkeys(row.reason.split('; ')[0] for row in opened))}.")
    return " ".join([*sentences, *_scopes(counted)])


def experiment_reading(experiment: str, rows: Iterable[Row]) -> str:
    """What an experiment's own contrasts say: how many there are, which hold and fail, and how far."""
    own = [row for row in rows if row.experiment == experiment and row.part and row.verdict != NOT_RUN]
    if not own:
        return ""
    parts = [f"Holds: {held}." if (held := _statements(own, SUPPORTED)) else ""]
    parts += [f"Does not hold: {against}." if (against := _against(own)) else ""]
    parts += [f"Open: {opened}." if (opened := _statements(own, INCONCLUSIVE)) else ""]
    return " ".join([f"What decides claims here: {tally(own)}.", *filter(None, parts), *_scopes(own)])


def tally(rows: Iterable[Row]) -> str:
    """How many contrasts came out how."""
    rows = list(rows)
    counts = {word: sum(row.verdict == word for row in rows) for word in VERDICTS}
    found = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"of {len(rows)} contrasts {found}" if len(rows) > 1 else f"one contrast, {found.removeprefix('1 ')}"


def _metric(row: Row) -> Metric | None:
    return METRICS.get(row.metric.rpartition(".")[2])


def _unit(row: Row) -> Unit:
    return rules.known()[row.rule].unit(_metric(row))


def _statements(rows: Sequence[Row], verdict: str) -> str:
    return "; ".join(row.statement.rstrip(".") for row in rows if row.verdict == verdict)


def _against(rows: Sequence[Row]) -> str:
    return "; ".join(f"{row.statement.rstrip('.')} - {HOW[row.verdict]}" for row in rows if row.verdict in AGAINST)


def _scopes(rows: Sequence[Row]) -> list[str]:
    scopes = "; ".join(dict.fromkeys(row.scope for row in rows if row.scope))
    return [f"Scope: {scopes}."] if scopes else []
