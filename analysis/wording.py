"""Outcomes in words: what a verdict means, an effect with its unit, the scores of both sides, what was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from analysis import rules
from analysis.formats import number, supported, three_digits
from analysis.rows import BY_CONSTRUCTION, NOT_RUN, QUALIFIED, Row
from analysis.rules.base import Unit
from analysis.statistics import BY_COUNT, CONTRADICTED, EQUAL, INCONCLUSIVE, REVERSED, SUPPORTED
from study.metrics import METRICS, Metric

MEANINGS = {  # of a contrast's verdict, and of a claim's
    SUPPORTED: "holds",
    EQUAL: "no meaningful difference",
    REVERSED: "the other way round",
    CONTRADICTED: "does not hold",
    QUALIFIED: "holds in part",
    INCONCLUSIVE: "left open",
    BY_CONSTRUCTION: "true by construction",
    NOT_RUN: "not measured",
}
OF_CLAIMS = {  # what is said of one claim, and of several
    SUPPORTED: ("holds", "hold"),
    QUALIFIED: ("holds in part", "hold in part"),
    CONTRADICTED: ("does not hold", "do not hold"),
    INCONCLUSIVE: ("is left open", "are left open"),
    BY_CONSTRUCTION: ("is true by construction", "are true by construction"),
    NOT_RUN: ("is not measured", "are not measured"),
}


def verdict(row: Row) -> str:
    """In words, with how it was come by where that was no test on runs."""
    return f"{row.verdict}, by count" if row.decided_by == BY_COUNT else row.verdict


def counts(verdicts: Iterable[str]) -> str:
    """How many claims came out how, such as "Of 40 claims 2 hold, 1 does not hold, 37 are not measured."."""
    found = list(verdicts)
    said = [f"{found.count(word)} {OF_CLAIMS[word][found.count(word) > 1]}" for word in OF_CLAIMS if word in found]
    return f"Of {len(found)} claims {', '.join(said)}."


def effect(row: Row) -> str:
    """A contrast's effect with its interval, such as "+3.1 points [+1.0, +5.2]", to the digits that this supports."""
    if row.effect is None:
        return ""
    unit = _supported_unit(row)
    text = f"{unit.factor * row.effect:+z.{unit.digits}f}{unit.words}"
    if row.low is not None and row.high is not None:
        text += f" [{unit.factor * row.low:+z.{unit.digits}f}, {unit.factor * row.high:+z.{unit.digits}f}]"
    return text


def levels(row: Row) -> str:
    """The mean scores of both sides, such as "97.0 % against 81.5 %"; of a trend or an interaction what it compares."""
    if row.score_a is None or row.score_b is None:
        return ""
    scores, metric, gains = (row.score_a, row.score_b), _metric(row), rules.known()[row.rule].gains
    if gains:
        unit = _unit(row)
        return f"{gains} of " + " against ".join(f"{unit.factor * score:+z.{unit.digits}f}{unit.words}" for score in scores)
    assert metric is not None
    if metric.relative:
        return f"{' against '.join(map(three_digits, scores))} {metric.label}"
    return " against ".join(number(score, metric) for score in scores)


def asked(row: Row) -> str:
    """What the interval has to do for the contrast to hold: exceed a margin ("> 2"), or lie within it ("± 2")."""
    if row.margin is None or row.effect is None:
        return ""
    return f"{'±' if rules.known()[row.rule].sameness else '>'} {_unit(row).factor * row.margin:g}"


def size(row: Row) -> str:
    """A contrast's effect beside the margin that it is held to, as "+0.0 points, less than the 2 that would count"."""
    if row.effect is None:
        return ""
    unit = _supported_unit(row)
    return ", ".join(filter(None, (f"{unit.factor * row.effect:+z.{unit.digits}f}{unit.words}", held_to(row))))


def held_to(row: Row) -> str:
    """Where an effect lies beside its margin."""
    if not row.margin:
        return ""
    bar = f"{abs(_unit(row).factor * row.margin):g}"
    within, beyond = f"less than the {bar} that would count", f"more than the {bar} that count"
    same = rules.known()[row.rule].sameness
    words = {
        SUPPORTED: within if same else beyond if row.margin > 0 else f"at most {bar} less was allowed",
        EQUAL: within,
        REVERSED: beyond,
        CONTRADICTED: beyond if same else "",
        INCONCLUSIVE: f"{bar} would count",
    }
    return words.get(row.verdict, "")


def plainly(row: Row) -> str:
    """A contrast's verdict with its size: "no meaningful difference: +0.0 points, less than the 2 that would count"."""
    return ": ".join(filter(None, (MEANINGS[row.verdict], size(row))))


def seen(row: Row) -> str:
    """The smallest effect that would have been found, in the unit of its effect."""
    return "" if row.seen is None else f"{_unit(row).factor * row.seen:.{_unit(row).digits}f}"


def margin_unit(row: Row) -> float:
    """What an effect is measured in where effects of several metrics stand on one axis: its margin, else a tenth."""
    if row.margin:
        return abs(row.margin)
    metric = _metric(row)
    return 0.1 if rules.known()[row.rule].own_unit or metric is None else metric.margin or 0.1


def _metric(row: Row) -> Metric | None:
    return METRICS.get(row.metric.rpartition(".")[2])


def _supported_unit(row: Row) -> Unit:
    """The unit of a row's effect with the digits that its interval supports."""
    unit = _unit(row)
    if row.effect is None or row.low is None or row.high is None:
        return unit
    middle, low, high = (unit.factor * value for value in (row.effect, row.low, row.high))
    return replace(unit, digits=supported(middle, low, high, unit.digits))


def _unit(row: Row) -> Unit:
    return rules.known()[row.rule].unit(_metric(row))
