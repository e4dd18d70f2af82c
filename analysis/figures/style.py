"""How figures look: colours, a grid of panels over one legend, files whose bytes depend on nothing but what they show."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from analysis.formats import as_math, short
from study import pictures
from study.experiments import Experiment

COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#7a7a7a",
    "#8b5a2b",
    "#6a3d9a",
    "#b22222",
    "#556b2f",
)
MARKERS = "osD^vPX*<>ph"
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (5, 2, 1, 2)), (0, (8, 2)), (0, (2, 2)))
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # ticks of an axis that shows shares
HEIGHT = 2.0  # inches of a panel's axes, as are the next four
LEFT, RIGHT, BETWEEN, BELOW = 0.72, 0.5, 1.05, 0.68
KEYS = 0.5  # inches from a panel down to a legend of its own
LEGEND: dict[str, Any] = {"handlelength": 3.5, "borderaxespad": 0.2, "borderpad": 0}
OVER_LINES = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}  # of text, so that no line runs through it
TITLE, UPRIGHT = 42, 30  # characters of a line of a title, and of the name of an upright axis
RC = {
    "font.family": pictures.FAMILY,
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titley": 1.0,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.bottom": False,
    "ytick.left": False,
    "path.simplify": True,
}


@dataclass(frozen=True)
class Panel:
    """``draw`` draws into the axes it is given; curves that it labels stand in a legend.

    ``what`` it shows is said under its title where a task has several panels; ``height`` of its axes in inches.
    """

    draw: Callable[[Any], None]
    what: str = ""
    height: float = HEIGHT


def named_rows(count: int) -> float:
    """Height in inches of axes with so many rows, each under its name."""
    return max(HEIGHT, 0.27 * (count + 0.3))


def name_rows(ax: Any, names: Sequence[str]) -> None:
    """A row for each name from top to bottom, at y = len - 1 to 0, what is drawn there under the name and never on it."""
    ax.set_yticks([])
    ax.set_ylim(-0.5, len(names) - 0.2)
    for y, name in zip(reversed(range(len(names))), map(as_math, names), strict=True):
        at = {"xy": (0.01, y), "xycoords": ax.get_yaxis_transform(), "xytext": (0, 9.5), "textcoords": "offset points"}
        ax.annotate(name, **at, fontsize=7, color="#333333", va="center", bbox=OVER_LINES)


def log_ticks(axis: Any) -> None:
    """A logarithmic axis with at least two numbers, however little it spans."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = sorted(axis.get_view_interval())
    steps = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=steps) if high > 5 * low else MaxNLocator(4))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda x, _: short(x)))


def arm_style(experiment: Experiment, arm: str) -> tuple[str, str, Any]:
    """Colour, marker and line of an arm: the same in every figure of its experiment, told apart in grey too."""
    index = list(experiment.arms).index(arm)
    line = LINES[(index + index // len(COLOURS)) % len(LINES)]
    return COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)], line


def in_rows(groups: Sequence[Sequence[Panel]]) -> list[list[Panel]]:
    """A grid of panels: each group of several in rows of its own, single ones one after the other."""
    largest = max(map(len, groups))
    count = largest if largest > 1 else len(groups)
    columns = 2 if count == 4 else min(count, 3)
    rows: list[list[Panel]] = []
    for single, alike in groupby(groups, key=lambda group: len(group) == 1):
        some = [list(group) for group in alike]
        blocks = [sum(some, [])] if single else some
        rows += [block[first : first + columns] for block in blocks for first in range(0, len(block), columns)]
    return rows


def assemble(experiment: Experiment, rows: Sequence[Sequence[Panel]]) -> Any:
    """Rows of panels over one legend of all curves that they label, arms in the order of the declaration.

    Where a panel labels fewer than half of these, each has a legend of its own instead. Axes are placed by inches, which is
    much faster than a layout engine.
    """
    columns = max(map(len, rows))
    width = max(0.4 + 3.7 * columns, 5.4)
    across = (width - LEFT - RIGHT - BETWEEN * (columns - 1)) / columns
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, HEIGHT))
        drawn = [[_drawn(figure, panel) for panel in row] for row in rows]
        shared, own = _legend(experiment, figure.axes), {ax: _legend(experiment, [ax]) for ax in figure.axes}
        if apart := any(0 < len(legend) < len(shared) / 2 for legend in own.values()):
            shared = {}
        below = [BELOW + (max(_legend_size(own[ax], across + KEYS)[1] for ax in row) if apart else 0) for row in drawn]
        heights = [max(panel.height for panel in row) for row in rows]
        titles = [0.12 + 0.16 * max(map(_title_lines, row)) for row in drawn]
        legend_columns, legend_height = _legend_size(shared, width)
        height = sum(heights) + sum(titles) + sum(below) + legend_height
        figure.set_size_inches(width, height)
        top = height
        for row, title, tall, under in zip(drawn, titles, heights, below, strict=True):
            top -= title + tall
            for column, ax in enumerate(row):
                left = LEFT + column * (across + BETWEEN)
                ax.set_position((left / width, top / height, across / width, tall / height))
                ax.xaxis.set_label_coords(0.5, -0.3 / tall)
                ax.yaxis.set_label_coords(-0.42 / across, 0.5)
                if column and _same_shares(ax, row[0]):
                    ax.set_ylabel("")  # said once a row
                    ax.set_yticklabels([])
                if apart and own[ax]:
                    at, count = (-LEFT / 2 / across, -KEYS / tall), _legend_size(own[ax], across + KEYS)[0]
                    ax.legend(own[ax].values(), own[ax], loc="upper left", bbox_to_anchor=at, ncols=count, **LEGEND)
            top -= under
        if shared:
            figure.legend(shared.values(), shared, loc="lower center", ncols=legend_columns, **LEGEND)
    return figure


def _legend_size(legend: Mapping[str, Any], width: float) -> tuple[int, float]:
    """Columns that fit the width, and height in inches."""
    entry = 0.75 + 0.062 * max(map(len, legend), default=0)  # inches of the longest
    columns = max(1, min(len(legend), int(width / entry)))
    return columns, 0.2 * -(-len(legend) // columns)


def _drawn(figure: Any, panel: Panel) -> Any:
    """Axes of their own with the panel drawn; a long title on several lines."""
    ax = figure.add_axes((0, 0, 1, 1), label=str(len(figure.axes)))
    panel.draw(ax)
    lines = textwrap.wrap(ax.get_title(loc="left"), TITLE)
    ax.set_ylabel(textwrap.fill(ax.get_ylabel(), UPRIGHT))
    ax.set_title(as_math("\n".join([*lines, panel.what] if panel.what else lines)))
    return ax


def _title_lines(ax: Any) -> int:
    return 1 + ax.get_title(loc="left").count("\n")


def _same_shares(ax: Any, first: Any) -> bool:
    return ax.get_ylabel() == first.get_ylabel() and tuple(ax.get_yticks()) == SHARES


def _legend(experiment: Experiment, axes: Iterable[Any]) -> dict[str, Any]:
    found = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    order = [arm.label for arm in experiment.arms.values()]
    ordered = sorted(found, key=lambda label: order.index(label) if label in order else len(order))
    return {as_math(label): found[label] for label in ordered}


def style() -> Any:
    import matplotlib

    return matplotlib.rc_context(RC)  # type: ignore[arg-type]


def save(figure: Any, path: Path) -> None:
    """``path`` with .svg and, where it can show all text, .png, without dates, so that the same figure is the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with style():
        shows_all = pictures.fit_fonts(figure)
        short = re.sub(r"<[^>]*>", _shortened, pictures.svg(figure))
        path.with_suffix(".svg").write_text(short, encoding="utf-8")
        if shows_all:
            figure.savefig(path.with_suffix(".png"), format="png", dpi=110, metadata={"Software": None})
        else:
            path.with_suffix(".png").unlink(missing_ok=True)


def _shortened(tag: re.Match[str]) -> str:
    """An SVG tag with its coordinates cut to hundredths of a point; text between tags stays as it is."""
    return re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0])
