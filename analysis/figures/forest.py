"""Effects of contrasts beside each other, in units of their margins."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.figures.style import style
from analysis.rows import AGAINST, Row
from analysis.statistics import CONTRADICTED, EQUAL, INCONCLUSIVE, REVERSED, SUPPORTED
from analysis.verdicts import Verdicts
from analysis.wording import margin_unit

CUT = 6.0  # margins at which the plot ends
COLOURS = {SUPPORTED: "#1b7f4d", **dict.fromkeys(AGAINST, "#b3261e")}  # grey where it is open
MARKERS = {SUPPORTED: "o", EQUAL: "s", **dict.fromkeys((CONTRADICTED, REVERSED), "X")}
WIDTH = 8.1  # inches
LINE = 0.155  # inches of a line of text
LONGEST = 42  # characters of a line
ONE_COLUMN = 30  # lines that stand in one column
KEY = "● supported   ■ equal   ✖ reversed, contradicted   ◇ inconclusive   ▶ goes on"


@dataclass(frozen=True)
class Bar:
    """A contrast with effect and interval in units of its margin, cut at ``CUT``."""

    row: Row
    low: float
    effect: float
    high: float

    @property
    def name(self) -> list[str]:
        """The lines that name it."""
        return textwrap.wrap(f"{self.row.claim}  {self.row.part}", LONGEST, subsequent_indent="    ")


def bars(rows: Iterable[Row]) -> list[Bar]:
    """Of the contrasts that have an interval."""
    drawn = []
    for row in rows:
        if row.effect is not None and row.low is not None and row.high is not None:
            unit = margin_unit(row)
            low, effect, high = (max(-CUT, min(CUT, value / unit)) for value in (row.low, row.effect, row.high))
            drawn.append(Bar(row, low, effect, high))
    return drawn


def forest(verdicts: Verdicts) -> Any | None:
    """Effects of the contrasts that decide claims, claim by claim, in two columns where they are many."""
    from matplotlib.figure import Figure

    shown = bars(row for row in verdicts.rows if row.part)
    if not shown:
        return None
    columns = _columns(shown)
    height = 0.85 + LINE * max(_lines(column) for column in columns)
    with style():
        figure = Figure(figsize=(WIDTH, height))
        for i, column in enumerate(columns):
            left, right = (i + 0.57) / len(columns), (i + 0.985) / len(columns)
            ax = figure.add_axes((left, 0.5 / height, right - left, 1 - 0.85 / height))
            _draw(ax, column, max(map(_lines, columns)))
        figure.text(0.5, 1 - 0.17 / height, KEY, ha="center", va="center", fontsize=8)
        words = f"effect in units of its margin (grey: within the margin; an arrow: it goes on beyond {CUT:g})"
        figure.text(0.5, 0.12 / height, words, ha="center", va="center", fontsize=8)
    return figure


def _lines(column: Sequence[Bar]) -> int:
    return sum(len(bar.name) for bar in column)


def _columns(shown: Sequence[Bar]) -> list[Sequence[Bar]]:
    """Where they are many, two columns, as even as can be without parting a claim."""
    if _lines(shown) <= ONE_COLUMN:
        return [shown]
    ends = [i for i in range(1, len(shown)) if shown[i].row.claim != shown[i - 1].row.claim]
    if not ends:
        return [shown]
    end = min(ends, key=lambda i: abs(_lines(shown[:i]) - _lines(shown[i:])))
    return [shown[:end], shown[end:]]


def _draw(ax: Any, column: Sequence[Bar], lines: int) -> None:
    """From top to bottom; a verdict's mark stands before the arrow where its effect is cut."""
    y, ticks = 0.0, []
    for bar in column:
        y -= len(bar.name) / 2
        ticks.append(y)
        colour = COLOURS.get(bar.row.verdict, "#7a7a7a")
        ax.plot([bar.low, bar.high], [y, y], color=colour, lw=1.4, solid_capstyle="butt")
        for end, cut, arrow in ((bar.low, -CUT, "<"), (bar.high, CUT, ">")):
            if end == cut:
                ax.plot([cut], [y], arrow, color=colour, ms=4)
        fill = "white" if bar.row.verdict == INCONCLUSIVE else colour
        at = max(0.8 - CUT, min(CUT - 0.8, bar.effect))
        ax.plot([at], [y], MARKERS.get(bar.row.verdict, "D"), color=colour, ms=4, mfc=fill)
        y -= len(bar.name) / 2
    ax.set_yticks(ticks, ["\n".join(bar.name) for bar in column], fontsize=6.5, linespacing=1.0)
    ax.set_ylim(-lines, 0)
    ax.set_xlim(-1.06 * CUT, 1.06 * CUT)
    ax.set_xticks([-6, -4, -2, 0, 2, 4, 6])
    ax.axvspan(-1, 1, color="#000000", alpha=0.07, lw=0)
    ax.axvline(0, color="#000000", lw=0.7)
    ax.grid(axis="y", visible=False)
