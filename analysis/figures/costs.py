"""Measurements of cost (tasks with ``measure: cost``) against what they vary, with their exponents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from analysis.cost_tables import AXES, measured
from analysis.figures.style import Panel, arm_style, log_ticks
from analysis.formats import as_math
from analysis.results import Results
from analysis.statistics import crossings, growth

NAME_HEIGHT = 0.07  # of a curve's name, as a share of its panel
TICKS = 8  # at most


def costs(
    results: Results, *, quantities: Sequence[str] = ("multiply_adds", "seconds"), against: str | None = None
) -> list[Panel]:
    """What one layer or one image costs, on logarithmic axes; each curve ends in the exponent of its growth.

    A panel per task, axis and quantity measured, where the axis changes any arm's; of decoding its seconds.
    A ring marks where ``against`` (an arm) starts or ceases to cost less.
    """
    panels = []
    for (_, split, slice_), rows in measured(results).groupby(["task", "split", "axis"], sort=False):
        axis = str(split), str(slice_)
        for quantity in quantities if split == "cost" else ("seconds",):
            curves = rows[rows[quantity] > 0].groupby("arm", sort=False)
            if (curves[quantity].nunique() > 1).any():
                drawn = {str(arm): dict(zip(curve["value"], curve[quantity], strict=True)) for arm, curve in curves}
                draw = partial(_costs, results=results, curves=drawn, axis=axis, quantity=quantity, against=against)
                panels.append(Panel(draw))
    return panels


def _costs(
    ax: Any,
    results: Results,
    curves: Mapping[str, Mapping[int, float]],
    axis: tuple[str, str],
    quantity: str,
    against: str | None,
) -> None:
    """Both axes are logarithmic; each curve ends in its exponent."""
    along = AXES[axis]
    words, scale, unit = along.quantities[quantity]
    ends, ringed = [], False
    for arm in results.experiment.arms:
        if arm not in curves:
            continue
        colour, marker, line = arm_style(results.experiment, arm)
        xs, ys = list(curves[arm]), [cost * scale for cost in curves[arm].values()]
        ax.plot(xs, ys, color=colour, ls=line, marker=marker, label=results.experiment.arms[arm].label)
        if grows := growth(along.letter, xs, ys, may_be_log=quantity == "hops"):
            ends.append((ys[-1], xs, grows, colour))
        other = curves.get(against or "", {}) if arm != against else {}
        if other.keys() == curves[arm].keys():
            for at in crossings(xs, [cost * scale for cost in other.values()], ys):
                y = math.exp(np.interp(math.log(at), np.log(xs), np.log(ys)))
                ax.plot([at], [y], "o", ms=9, mfc="none", color=colour)
                ringed = True
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.minorticks_off()
    measured_at = sorted({x for curve in curves.values() for x in curve})
    ticks = measured_at[:: -(-len(measured_at) // TICKS)]
    ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
    log_ticks(ax.yaxis)
    if ringed and against is not None:
        ring = f"{results.experiment.arms[against].label} starts or ceases to cost less"
        ax.plot([], [], "o", ms=9, mfc="none", color="#000000", label=ring)
    _name_ends(ax, ends)
    ax.set_xlabel(along.name)
    ax.set_ylabel(f"{unit} per {along.per}" if along.per and quantity not in ("hops", "critical_path") else unit)
    ax.set_title(f"{words[0].upper()}{words[1:]}, {along.of}")


def _name_ends(ax: Any, ends: Sequence[tuple[float, Sequence[float], str, str]]) -> None:
    """Beside the end of each curve (its last y, its xs) on log axes what it is to be called; names keep off each other."""
    if not ends:
        return
    low, high = np.log(ax.get_ylim())
    first, reached = min(xs[0] for _, xs, _, _ in ends), max(xs[-1] for _, xs, _, _ in ends)
    ends = sorted(ends, key=lambda end: end[0])
    heights = [(math.log(y) - low) / (high - low) for y, *_ in ends]
    steps = NAME_HEIGHT * np.arange(len(heights))
    kept_off = isotonic_regression(np.array(heights) - steps).x + steps  # the nearest heights that far apart
    heights = np.clip(kept_off, NAME_HEIGHT / 2 + steps, 1 - steps[::-1])
    for height, (y, xs, name, colour) in zip(heights, ends, strict=True):
        at = (reached * (reached / first) ** 0.07, math.exp(low + height * (high - low)))
        line = {"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkA": 0, "shrinkB": 3, "relpos": (0, 0.5)}
        ax.annotate(as_math(name), (xs[-1], y), at, fontsize=8.5, va="center", color=colour, arrowprops=line)
    ax.set_xlim(right=reached * (reached / first) ** 0.3)  # room for the names
