"""How an experiment was trained: validation score against learning rate, and learning curves."""

from __future__ import annotations

import textwrap
from functools import partial
from typing import Any

from analysis.figures.style import OVER_LINES, Panel, assemble
from analysis.figures.view import View, frame, score_label
from analysis.results import Results
from analysis.values import measure
from study.metrics import METRICS, Metric

COLUMNS = 3  # at most


def training(results: Results) -> Any | None:
    """Two rows: validation score against learning rate (the chosen one filled), and learning curves, which name the arms."""
    run = {record["plan"]["task"] for record in results.records}
    tasks = [View(results, task) for task in results.trained_tasks if task in run]
    if not tasks:
        return None
    rows = []
    for first in range(0, len(tasks), COLUMNS):
        row = tasks[first : first + COLUMNS]
        for draw in (_rates, _curves):
            rows.append([Panel(partial(draw, view=view, metric=METRICS[view.declared.tuned_on])) for view in row])
    return assemble(results.experiment, rows)


def _rates(ax: Any, view: View, metric: Metric) -> None:
    rates = set()
    for arm in view.declared.arms:
        by_rate: dict[float, list[float]] = {}
        for record in view.results.tuning.get((arm, view.task), []):
            rates.add(record["plan"]["rate"])
            score = measure(record, f"validation.{metric.name}")
            if score is not None:
                by_rate.setdefault(record["plan"]["rate"], []).append(score)
        if not by_rate:
            continue
        means = {rate: sum(scores) / len(scores) for rate, scores in sorted(by_rate.items())}
        colour, marker, line = view.arm_style(arm)
        look = {"color": colour, "ls": line, "marker": marker, "mfc": "white", "lw": 1.2}
        ax.plot(list(means), list(means.values()), **look, label="" if view.records(arm) else view.label(arm))
        choice = view.results.choices.get((arm, view.task))
        if choice is not None and choice.rate in means:
            ax.plot([choice.rate], [means[choice.rate]], marker, color=colour, ms=6)
    ax.set_xscale("log")
    ax.minorticks_off()
    ax.set_xticks(sorted(rates), [f"{rate:g}" for rate in sorted(rates)])
    frame(ax, view, metric)
    ax.set_xlabel("learning rate (filled: chosen)")
    if not rates:
        tasks, other = view.results.experiment.tasks, view.declared.rate_of
        why = textwrap.fill(f"the rates chosen for {tasks[other].label}" if other else "none tried yet", 30)
        ax.text(0.5, 0.5, why, ha="center", va="center", fontsize=7, transform=ax.transAxes, bbox=OVER_LINES)
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
    ax.xaxis.get_major_locator().set_params(nbins=5)
    ax.set_title("")
    ax.set_xlabel("training steps")
    ax.set_ylabel(f"validation {score_label(metric)}")
