"""Scores of a task, arm by arm or against the values of a slice."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from analysis.figures.style import SHARES, Panel, name_rows, named_rows
from analysis.figures.view import View, dots, frame, score_label
from analysis.statistics import mean_interval
from analysis.tables import slice_scores


def arms(view: View) -> list[Panel]:
    """Each arm's mean score with its 95 % interval; each dash is a seed."""
    return [Panel(partial(_arms, view=view), height=named_rows(len(view.arms)))]


def slices(
    view: View,
    *,
    slice: str | list[str],
    reach: bool = False,
    over_reach: bool = False,
    trained: bool = False,
    x_label: str = "",
    x_scale: str = "",
) -> list[Panel]:
    """Mean scores with 95 % intervals against a property of the items, named below each panel.

    ``slice`` is the property (distance, length, position, ...; of a list the first that the task has).
    ``reach`` draws each arm's theoretical reach in, ``over_reach`` divides the axis by it, ``trained`` goes on past the
    longest training length and marks it.
    """
    axis = view.axis(slice)
    if axis is None:
        return []
    scale = x_scale or ("log" if over_reach or axis == "position" else "linear")
    label = x_label or (f"{axis} / reach" if over_reach else axis)
    splits = ("test", "out") if trained else ("test",)
    draw = partial(_slices, view=view, axis=axis, splits=splits, reach=reach, relative=over_reach)
    return [Panel(partial(draw, log=scale == "log", label=label), f"by {axis}")]


def _arms(ax: Any, view: View) -> None:
    metric = view.metric
    for y, arm in enumerate(reversed(view.arms)):
        dots(ax, y, view.scores(arm, f"test.{metric.name}"), metric.bounds, view.arm_style(arm))
    scored = {arm: "" if view.scores(arm, f"test.{metric.name}") else ": no score" for arm in view.arms}
    name_rows(ax, [f"{view.label(arm)}{note}" for arm, note in scored.items()])
    if metric.percent:
        ax.set_xlim(-0.03, 1.03)
        ax.set_xticks(SHARES)
    chance = view.chance()
    if chance is not None and ax.get_xlim()[0] <= chance <= ax.get_xlim()[1]:
        ax.axvline(chance, color="#555555", lw=0.9, ls=(0, (1, 2)))
        ax.text(chance, 0, " chance", transform=ax.get_xaxis_transform(), fontsize=7, va="bottom", color="#555555")
    ax.set_xlabel(score_label(metric))
    ax.set_title(view.declared.label)


def _slices(
    ax: Any, view: View, axis: str, splits: tuple[str, ...], reach: bool, relative: bool, log: bool, label: str
) -> None:
    metric, longest, reaches = view.metric, 0.0, {}
    means: list[float] = []
    for index, arm in enumerate(view.results.experiment.arms):
        if arm not in view.arms:
            continue
        records = view.records(arm)
        found = slice_scores(records, metric.name)
        own_reach = next((r.get("reach") for r in records if r["status"] == "finished"), None)
        curve: dict[float, list[float]] = {}
        for split in splits:
            curve |= {x: v for x, v in found.get((split, axis), {}).items() if x not in curve}
        longest = max([longest, *found.get(("test", axis), {})])
        if not curve:
            continue
        colour, marker, line = view.arm_style(arm)
        xs = list(curve)
        if relative and own_reach:
            xs = [x / own_reach for x in curve]
        elif relative:  # nothing to divide by: its score at any distance
            mean = mean_interval(view.scores(arm, f"test.{metric.name}"))[0]
            if mean is not None:
                ax.axhline(mean, color=colour, ls=line, lw=1.2, label=view.label(arm))
            continue
        elif own_reach is not None:
            reaches[arm] = own_reach
        stats = [mean_interval(scores, bounds=metric.bounds) for scores in curve.values()]
        every = max(1, len(xs) // 8)
        marks = {"marker": marker, "markevery": (index % every, every)}
        ax.plot(xs, [s[0] for s in stats], color=colour, ls=line, **marks, label=view.label(arm))
        means += [mean for mean, _, _ in stats if mean is not None]
        if all(s[1] is not None for s in stats) and len(xs) > 1:
            ax.fill_between(xs, [s[1] for s in stats], [s[2] for s in stats], color=colour, alpha=0.13, lw=0)
    if log:
        ax.set_xscale("log", base=2)
        ax.minorticks_off()
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}" if x >= 1 else f"1/{1 / x:g}")
    frame(ax, view, metric)
    if not metric.percent and means:
        _fit(ax, means)
    if reach:
        _reaches(ax, view, reaches)
    if relative:
        ax.axvline(1, color="#000000", lw=0.8)
    if len(splits) > 1:
        ax.axvline(longest, color="#000000", lw=0.8, ls=(0, (4, 3)))
    upright = {"upright lines: theoretical reach": reach and bool(reaches), "dashed: longest in training": len(splits) > 1}
    said = ", ".join(words for words, drawn in upright.items() if drawn)
    ax.set_xlabel(f"{label} ({said})" if said else label)


def _fit(ax: Any, means: list[float]) -> None:
    """Room for the means, so that the wide band of one does not press all of them together; it goes on beyond the edge."""
    low, high = ax.get_ylim()
    room = max(max(means) - min(means), 0.05 * max(map(abs, means)))
    bottom, top = max(low, min(means) - room), min(high, max(means) + room)
    ax.set_ylim(bottom, top)
    if bottom > low or top < high:
        ax.text(1, 1, "bands go on", transform=ax.transAxes, fontsize=7, color="#555555", ha="right", va="top")


def _reaches(ax: Any, view: View, reaches: Mapping[str, int]) -> None:
    """A tick on the upper edge and a thin line where each arm's reach ends."""
    low, high = ax.get_xlim()
    for arm, reach in reaches.items():
        if low <= reach <= high:
            colour, marker, line = view.arm_style(arm)
            ax.axvline(reach + 0.5, color=colour, ls=line, lw=0.9, alpha=0.8)
            ax.plot([reach + 0.5], [1.0], marker, color=colour, transform=ax.get_xaxis_transform(), clip_on=False, ms=5)
