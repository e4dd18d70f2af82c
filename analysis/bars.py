"""Contrasts as bars of a forest plot: where they lie on its axis, for the figure of all verdicts and for the page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.rows import Row
from analysis.wording import margin_unit

CUT = 100.0  # margins at which the axis ends
TICKS = (-100, -10, -1, 0, 1, 10, 100)  # margins


@dataclass(frozen=True)
class Bar:
    """The ends of an interval and its effect as places on the axis, and whether the interval goes on beyond either end."""

    row: Row
    low: float
    effect: float
    high: float
    cut_low: bool
    cut_high: bool


def bar(row: Row) -> Bar | None:
    """None where a contrast has no interval."""
    if row.effect is None or row.low is None or row.high is None:
        return None
    low, effect, high = (value / margin_unit(row) for value in (row.low, row.effect, row.high))
    before_arrow = max(-0.7 * CUT, min(0.7 * CUT, effect))
    return Bar(row, place(low), place(before_arrow), place(high), low < -CUT, high > CUT)


def place(margins: float) -> float:
    """Where so many margins lie on the axis, from -1 to 1: even up to one margin, in tenfold steps beyond."""
    size = min(abs(margins), CUT)
    return math.copysign(size if size <= 1 else 1 + math.log10(size), margins) / (1 + math.log10(CUT))
