"""Scores against a tag of the arms: a curve per value of another tag, or per split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from analysis.figures.style import COLOURS, LINES, MARKERS, Panel
from analysis.figures.view import View, frame
from analysis.statistics import mean_interval, ratio_interval
from study.metrics import Metric

Shared = Mapping[str, Sequence[Any]]
Interval = Callable[[Sequence[float]], tuple[float | None, float | None, float | None]]


def tags(
    view: View, *, x: str, series: str, shared: Shared | None = None, x_label: str = "", x_scale: str = "log"
) -> list[Panel]:
    """Mean scores with 95 % intervals against a property of the arms, named below each panel.

    It is their tag ``x``, and there is one curve per value of their tag ``series``.
    ``shared: {arm: [values]}`` lets an arm stand on further curves.
    """
    metric = view.metric
    curves: dict[str, dict[float, list[float]]] = {}
    for arm in view.arms:
        own, scores = view.tag(arm, series), view.scores(arm, f"test.{metric.name}")
        for name in map(str, ("" if own is None else own, *(shared or {}).get(arm, ()))):
            curve = curves.setdefault(name, {})
            if scores and (at := view.tag(arm, x)) is not None:
                curve[float(at)] = scores
    interval = ratio_interval if metric.relative else partial(mean_interval, bounds=metric.bounds)
    return [_panel(view, curves, metric, interval, x_label or x, x_scale)]


def splits(view: View, *, x: str, splits: Mapping[str, str], x_label: str = "", x_scale: str = "log") -> list[Panel]:
    """Mean scores with 95 % intervals on several texts against a property of the arms, named below each panel.

    It is their tag ``x``, and there is one curve per entry of ``splits: {split: words}``.
    A split is test, train, validation, or best: the best evaluation on validation during training.
    """
    curves: dict[str, dict[float, list[float]]] = {words: {} for words in splits.values()}
    for split, words in splits.items():
        for arm in view.arms:
            scores = view.scores(arm, f"{split}.{view.metric.name}")
            if scores and (at := view.tag(arm, x)) is not None:
                curves[words][float(at)] = scores
    interval = partial(mean_interval, bounds=view.metric.bounds)
    return [_panel(view, curves, view.metric, interval, x_label or x, x_scale)]


def _panel(
    view: View,
    curves: Mapping[str, dict[float, list[float]]],
    metric: Metric,
    interval: Interval,
    label: str,
    scale: str,
) -> Panel:
    drawn = {name: curve for name, curve in curves.items() if curve}
    draw = partial(_curves, view=view, curves=drawn, metric=metric, interval=interval, label=label, log=scale == "log")
    return Panel(draw, f"by {label}")


def _curves(
    ax: Any,
    view: View,
    curves: Mapping[str, dict[float, list[float]]],
    metric: Metric,
    interval: Interval,
    label: str,
    log: bool,
) -> None:
    ticks = sorted({x for points in curves.values() for x in points})
    aside = 0.0 if log or not ticks else 0.01 * (ticks[-1] - ticks[0])
    for index, (series, points) in enumerate(curves.items()):
        xs = sorted(points)
        shown = [x * (1 + 0.04 * index) if log else x + aside * index for x in xs]  # side by side where curves share an x
        means = []
        for x, at in zip(xs, shown, strict=True):
            mean, low, high = interval(points[x])
            means.append(mean)
            ax.plot([at] * len(points[x]), points[x], "_", color=COLOURS[index], ms=7, alpha=0.6)
            if low is not None:
                ax.plot([at, at], [low, high], color=COLOURS[index], lw=1.2)
        ax.plot(shown, means, color=COLOURS[index], ls=LINES[index], marker=MARKERS[index], label=series)
    if log:
        ax.set_xscale("log", base=2)
        ax.minorticks_off()
    ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
    frame(ax, view, metric)
    ax.set_xlabel(label)
