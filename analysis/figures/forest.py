"""Effects of contrasts beside each other, in units of their margins."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.bars import TICKS, Bar, bar, place
from analysis.figures.style import OVER_LINES, style
from analysis.rows import AGAINST
from analysis.statistics import CONTRADICTED, EQUAL, INCONCLUSIVE, REVERSED, SUPPORTED
from analysis.verdicts import Verdicts

COLOURS = {SUPPORTED: "#1b7f4d", **dict.fromkeys(AGAINST, "#b3261e")}  # grey where it is open
MARKERS = {SUPPORTED: "o", EQUAL: "s", **dict.fromkeys((CONTRADICTED, REVERSED), "X")}
WIDTH = 8.1  # inches
LINE = 0.15  # inches of a line of text
NAMES = 0.27 * WIDTH  # inches before the axis, for names
CLAIM, PART = 64, 37  # characters of a line, of a claim across its column and of a part beside its bar
ONE_COLUMN = 40  # lines that stand in one column
KEY = "● supported   ■ equal   ✖ reversed, contradicted   ◇ inconclusive   ▶ goes on"


@dataclass
class Block:
    """A claim over its bars; half a line parts it from the next."""

    title: list[str]
    bars: list[Bar] = field(default_factory=list)

    @property
    def lines(self) -> float:
        return len(self.title) + sum(len(_named(one)) for one in self.bars) + 0.5


def forest(verdicts: Verdicts, said: Mapping[str, str]) -> Any | None:
    """Effects of the contrasts that decide claims, under what each claim says, in two columns where they are many."""
    from matplotlib.figure import Figure

    blocks: dict[str, Block] = {}
    for found in filter(None, map(bar, (row for row in verdicts.rows if row.part))):
        claim = found.row.claim
        title = textwrap.wrap(f"{claim}  {said.get(claim, '')}", CLAIM)
        blocks.setdefault(claim, Block(title)).bars.append(found)
    if not blocks:
        return None
    columns = _columns(list(blocks.values()))
    lines = max(sum(block.lines for block in column) for column in columns)
    height = 0.85 + LINE * lines
    with style():
        figure = Figure(figsize=(WIDTH, height))
        for i, column in enumerate(columns):
            left, right = i / len(columns) + NAMES / WIDTH, (i + 0.985) / len(columns)
            ax = figure.add_axes((left, 0.5 / height, right - left, 1 - 0.85 / height))
            _draw(ax, column, lines)
        figure.text(0.5, 1 - 0.17 / height, KEY, ha="center", va="center", fontsize=8)
        words = "effect in units of its margin (grey: within the margin); tenfold steps beyond"
        figure.text(0.5, 0.12 / height, words, ha="center", va="center", fontsize=8)
    return figure


def _columns(blocks: list[Block]) -> list[list[Block]]:
    """Where they are many, two columns, as even as can be."""

    def lines(some: Sequence[Block]) -> float:
        return sum(block.lines for block in some)

    if lines(blocks) <= ONE_COLUMN or len(blocks) == 1:
        return [blocks]
    end = min(range(1, len(blocks)), key=lambda i: abs(lines(blocks[:i]) - lines(blocks[i:])))
    return [blocks[:end], blocks[end:]]


def _draw(ax: Any, column: Sequence[Block], lines: float) -> None:
    """From top to bottom."""
    y = 0.0
    for block in column:
        y = _name(ax, y, block.title, 0.04, fontweight="bold")
        for one in block.bars:
            end = _name(ax, y, _named(one), 0.12)
            _draw_bar(ax, one, (y + end) / 2)
            y = end
        y -= 0.5
    ax.set_yticks([])
    ax.set_ylim(-lines, 0)
    ax.set_xlim(-1.04, 1.04)
    ax.set_xticks([place(tick) for tick in TICKS], [f"{tick:g}" for tick in TICKS])
    ax.tick_params(axis="x", labelsize=7)
    ax.axvspan(-place(1), place(1), color="#000000", alpha=0.07, lw=0)
    ax.axvline(0, color="#000000", lw=0.7)
    ax.spines["left"].set_visible(False)


def _name(ax: Any, y: float, lines: Sequence[str], indent: float, **font: Any) -> float:
    """Writes lines from y downwards, on white where they stand over the plot; returns where they end."""
    offset = (72 * (indent - NAMES), 0)
    for line in lines:
        at = {"xy": (0, y - 0.5), "xycoords": ax.get_yaxis_transform(), "xytext": offset, "textcoords": "offset points"}
        text = ax.annotate(line, **at, fontsize=7, va="center", **font)
        text.set_bbox(OVER_LINES)
        y -= 1
    return y


def _named(bar: Bar) -> list[str]:
    """The lines that name it."""
    return textwrap.wrap(bar.row.part, PART, break_on_hyphens=False)


def _draw_bar(ax: Any, bar: Bar, y: float) -> None:
    colour = COLOURS.get(bar.row.verdict, "#7a7a7a")
    ax.plot([bar.low, bar.high], [y, y], color=colour, lw=1.4, solid_capstyle="butt")
    for cut, end, arrow in ((bar.cut_low, bar.low, "<"), (bar.cut_high, bar.high, ">")):
        if cut:
            ax.plot([end], [y], arrow, color=colour, ms=4)
    fill = "white" if bar.row.verdict == INCONCLUSIVE else colour
    ax.plot([bar.effect], [y], MARKERS.get(bar.row.verdict, "D"), color=colour, ms=4, mfc=fill)
