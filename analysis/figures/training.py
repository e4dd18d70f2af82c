"""How an experiment was trained: validation score against learning rate, and learning curves."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Any

from analysis.figures.style import OVER_LINES, Panel, assemble
from analysis.figures.view import View, frame, score_label
from analysis.results import Results
from analysis.tables import TableRow, rate_rows
from study.metrics import METRICS, Metric

COLUMNS = 3  # at most


def training(results: Results) -> Any | None:
    """Two rows: validation score against learning rate (the chosen one filled), and learning curves, which name the arms."""
    run = {record["plan"]["task"] for record in results.records}
    tasks = [View(results, task) for task in results.experiment.tasks if task in run and results.is_trained(task)]
    if not tasks:
        return None
    tried, rows = rate_rows(results), []
    for first in range(0, len(tasks), COLUMNS):
        row = tasks[first : first + COLUMNS]
        for draw in (partial(_rates, tried=tried), _curves):
            rows.append([Panel(partial(draw, view=view, metric=METRICS[view.declared.tuned_on])) for view in row])
    return assemble(results.experiment, rows)


def _rates(ax: Any, view: View, metric: Metric, tried: Sequence[TableRow]) -> None:
    own = [row for row in tried if row["task"] == view.task]
    rates = {row["rate"] for row in own}
    for arm in view.declared.arms:
        scored = [row for row in own if row["arm"] == arm and row["seeds"]]
        means = {row["rate"]: row["mean_validation"] for row in scored}
        if not means:
            continue
        colour, marker, line = view.arm_style(arm)
        look = {"color": colour, "ls": line, "marker": marker, "mfc": "white", "lw": 1.2}
        ax.plot(list(means), list(means.values()), **look, label="" if view.records(arm) else view.label(arm))
        for row in (row for row in scored if row["chosen"]):
            ax.plot([row["rate"]], [row["mean_validation"]], marker, color=colour, ms=6)
    ax.set_xscale("log")
    ax.minorticks_off()
    ax.set_xticks(sorted(rates), [f"{rate:g}" for rate in sorted(rates)])
    frame(ax, view, metric)
    ax.set_xlabel("learning rate (filled: chosen)")
    if not rates:
        tasks, other = view.results.experiment.tasks, view.declared.rate_of
        _say(ax, f"the rates chosen for {tasks[other].label}" if other else "none tried yet")
    ax.set_ylabel(f"validation {score_label(metric)}")


def _curves(ax: Any, view: View, metric: Metric) -> None:
    """Mean over verdict seeds; a run that stopped when it had solved the task keeps its last score."""
    key = f"validation_{metric.name}"
    for arm in view.declared.arms:
        histories = [record.get("curve", []) for record in view.records(arm)]
        scored = [{row["step"]: row[key] for row in rows if row.get(key) is not None} for rows in histories]
        curves = [curve for curve in scored if curve]
        if not curves:
            continue
        steps = sorted({step for curve in curves for step in curve})
        means = []
        for step in steps:
            held = [curve[max(s for s in curve if s <= step)] for curve in curves if min(curve) <= step]
            means.append(sum(held) / len(held))
        colour, marker, line = view.arm_style(arm)
        every = max(1, len(steps) // 6)
        look = {"color": colour, "ls": line, "lw": 1.2, "marker": marker, "ms": 3.5, "markevery": (0, every)}
        ax.plot(steps, means, **look, label=view.label(arm))
    frame(ax, view, metric)
    if not ax.lines:
        asked = view.task in view.results.trained_tasks
        _say(ax, "no verdict runs yet" if asked else "learning rates are chosen here, no more")
    ax.xaxis.get_major_locator().set_params(nbins=5)
    ax.set_title("")
    ax.set_xlabel("training steps")
    ax.set_ylabel(f"validation {score_label(metric)}")


def _say(ax: Any, words: str) -> None:
    """In the middle of a panel that has no lines."""
    text = textwrap.fill(words, 30)
    ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=7, transform=ax.transAxes, bbox=OVER_LINES)
