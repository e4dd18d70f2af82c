"""What each run took to the task's target; a run that did not reach it is drawn hollow."""

from __future__ import annotations

from functools import partial
from typing import Any

from analysis.effort import effort
from analysis.figures.style import Panel, log_ticks, name_rows, named_rows
from analysis.figures.view import View


def to_steps(view: View) -> list[Panel]:
    """Training steps that each run took to the target; hollow: the run never reached it."""
    return _panel(view, "steps")


def to_samples(view: View) -> list[Panel]:
    """Sequences that each run saw up to the target; hollow: the run never reached it."""
    return _panel(view, "samples")


def to_multiply_adds(view: View) -> list[Panel]:
    """Multiply-adds, forward and backward, that each run took to the target; hollow: the run never reached it."""
    return _panel(view, "multiply_adds")


def to_seconds(view: View) -> list[Panel]:
    """Seconds of training steps that each run took to the target; hollow: the run never reached it."""
    return _panel(view, "seconds")


def _panel(view: View, quantity: str) -> list[Panel]:
    """None for a task without a target."""
    target = view.declared.target
    if target is None:
        return []
    draw = partial(_efforts, view=view, quantity=quantity, target=target)
    return [Panel(draw, f"{quantity.replace('_', '-')} to the target", named_rows(len(view.arms)))]


def _efforts(ax: Any, view: View, quantity: str, target: float) -> None:
    for y, arm in enumerate(reversed(view.arms)):
        colour, marker, _ = view.arm_style(arm)
        for each in (effort(record, target, quantity) for record in view.records(arm)):
            if each is not None:
                ax.plot([each.value], [y], marker, color=colour, mfc=colour if each.reached else "white", ms=5.5)
    name_rows(ax, [view.label(arm) for arm in view.arms])
    ax.set_xscale("log")
    log_ticks(ax.xaxis)
    own = next((r["metric"] for arm in view.arms for r in view.records(arm) if r.get("metric")), view.metric.name)
    label = view.metric.label if own == view.metric.name else f"validation {own.replace('_', ' ')}"
    ax.set_xlabel(f"{quantity.replace('_', '-')} to {label} {target:g}\n(hollow: never reached)")
    ax.set_title(view.declared.label)
