"""Effects of contrasts beside each other, in units of their margins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from analysis.figures.style import blank, style
from analysis.rows import AGAINST, Row
from analysis.statistics import CONTRADICTED, EQUAL, INCONCLUSIVE, REVERSED, SUPPORTED
from analysis.verdicts import Verdicts
from analysis.wording import margin_unit

CUT = 6.0  # margins at which the plot ends
COLOURS = {SUPPORTED: "#1b7f4d", **dict.fromkeys(AGAINST, "#b3261e")}  # grey where it is open
MARKERS = {SUPPORTED: "o", EQUAL: "s", **dict.fromkeys((CONTRADICTED, REVERSED), "X")}
LONGEST = 105  # characters of a line's name


@dataclass(frozen=True)
class Bar:
    """A contrast with effect and interval in units of its margin, cut at ``CUT``."""

    row: Row
    low: float
    effect: float
    high: float


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
    """Effects of the contrasts that decide claims, claim by claim."""
    shown = bars(row for row in reversed(verdicts.rows) if row.part)
    if not shown:
        return None
    with style():
        figure, [ax] = blank(1, 1, 10.0, 0.8 + 0.21 * len(shown), left=0.6, right=0.97, top_in=0.35, bottom_in=0.45)
        for y, bar in enumerate(shown):
            verdict = bar.row.verdict
            colour = COLOURS.get(verdict, "#7a7a7a")
            ax.plot([bar.low, bar.high], [y, y], color=colour, lw=1.6, solid_capstyle="butt")
            fill = "white" if verdict == INCONCLUSIVE else colour
            ax.plot([bar.effect], [y], MARKERS.get(verdict, "D"), color=colour, ms=4.5, mfc=fill)
        ax.set_yticks(range(len(shown)), [_short(f"{bar.row.claim}  {bar.row.statement}") for bar in shown], fontsize=7)
        ax.set_ylim(-0.7, len(shown) - 0.3)
        ax.set_xlim(-1.05 * CUT, 1.05 * CUT)
        ax.axvspan(-1, 1, color="#000000", alpha=0.07, lw=0)
        ax.axvline(0, color="#000000", lw=0.7)
        ax.grid(axis="y", visible=False)
        ax.set_xlabel(f"effect in units of its margin (grey: within the margin; cut at {CUT:g})")
        ax.set_title("● supported   ■ equal   ✖ reversed, contradicted   ◇ inconclusive", fontsize=8, fontweight="normal")
    return figure


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
