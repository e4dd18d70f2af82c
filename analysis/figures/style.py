"""How figures look: colours, a grid of panels over one legend, files whose bytes depend on nothing but what they show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

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
    """``draw`` draws into the axes it is given. ``curves`` are labels that it gives to its curves where these are no arms."""

    draw: Callable[[Any], None]
    curves: tuple[str, ...] = ()


def arm_style(experiment: Experiment, arm: str) -> tuple[str, str, Any]:
    """Colour, marker and line of an arm: the same in every figure of its experiment, told apart in grey too."""
    index = list(experiment.arms).index(arm)
    line = LINES[(index + index // len(COLOURS)) % len(LINES)]
    return COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)], line


def assemble(experiment: Experiment, panels: Sequence[Panel | None], arms: Iterable[str], columns: int | None = None) -> Any:
    """Panels in a grid over one legend: of the first panel's own curves where it names them, else of ``arms``."""
    columns = columns or (2 if len(panels) == 4 else min(len(panels), 3))
    rows = -(-len(panels) // columns)
    curves = panels[0].curves if panels[0] else ()
    shown = [] if curves else list(arms)
    width = max(0.4 + 3.7 * columns, 5.4)
    entries = len(shown) or max(len(curves), 1)
    legend_columns = min(entries, int(width / 2.4))
    legend_height = 0.2 * -(-entries // legend_columns)
    with style():
        from matplotlib.lines import Line2D

        figure, axes = blank(rows, columns, width, 2.9 * rows + legend_height, bottom_in=0.5 + legend_height)
        for index, (ax, panel) in enumerate(zip_longest(axes, panels)):
            if panel is None:
                ax.set_visible(False)
                continue
            panel.draw(ax)
            first = axes[index - index % columns]
            if ax is not first and ax.get_ylabel() == first.get_ylabel() and tuple(ax.get_yticks()) == SHARES:
                ax.set_ylabel("")  # said once a row
                ax.set_yticklabels([])
            box = ax.get_position()
            ax.xaxis.set_label_coords(0.5, -0.3 / (box.height * figure.get_figheight()))
            ax.yaxis.set_label_coords(-0.42 / (box.width * figure.get_figwidth()), 0.5)
        handles = []
        for arm in shown:
            colour, marker, line = arm_style(experiment, arm)
            handles.append(Line2D([], [], color=colour, marker=marker, ls=line, label=experiment.arms[arm].label))
        handles = handles or axes[0].get_legend_handles_labels()[0]
        if handles:
            figure.legend(handles=handles, loc="lower center", ncols=legend_columns, handlelength=3.5)
    return figure


def blank(
    rows: int,
    columns: int,
    width: float,
    height: float,
    left: float | None = None,
    right: float | None = None,
    top_in: float = 0.3,
    bottom_in: float = 0.75,
) -> tuple[Any, list[Any]]:
    """A plain Figure (no pyplot, no state), its axes placed by inches: much faster than a layout engine."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    grid = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": 0.62 / width if left is None else left,
            "right": 1 - 0.5 / width if right is None else right,
            "top": 1 - top_in / height,
            "bottom": bottom_in / height,
            "wspace": 0.32,
            "hspace": 0.45,
        },
    )
    return figure, list(grid.flat)


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
