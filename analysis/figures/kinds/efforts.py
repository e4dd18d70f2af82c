"""What each run took to the task's target; a run that did not reach it is drawn hollow."""

from __future__ import annotations

from functools import partial
from typing import Any

from analysis.effort import effort
from analysis.figures.style import Panel
from analysis.figures.view import View


def to_steps(view: View) -> list[Panel]:
    """Training steps to the target."""
    return [Panel(partial(_efforts, view=view, quantity="steps"))]


def to_samples(view: View) -> list[Panel]:
    """Sequences seen to the target."""
    return [Panel(partial(_efforts, view=view, quantity="samples"))]


def to_multiply_adds(view: View) -> list[Panel]:
    """Multiply-adds, forward and backward, to the target."""
    return [Panel(partial(_efforts, view=view, quantity="multiply_adds"))]


def to_seconds(view: View) -> list[Panel]:
    """Seconds of training steps to the target."""
    return [Panel(partial(_efforts, view=view, quantity="seconds"))]


def _efforts(ax: Any, view: View, quantity: str) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

    target = view.declared.target
    for y, arm in enumerate(reversed(view.arms)):
        colour, marker, _ = view.arm_style(arm)
        for each in (effort(record, target, quantity) for record in view.records(arm) if target is not None):
            if each is not None:
                ax.plot([each.value], [y], marker, color=colour, mfc=colour if each.reached else "white")
        ax.text(0.01, y + 0.3, view.label(arm), transform=ax.get_yaxis_transform(), fontsize=7)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator() if high > 10 * low else MaxNLocator(4))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.minorticks_off()
    ax.set_yticks([])
    ax.set_ylim(-0.5, len(view.arms) - 0.2)
    own = next((r["metric"] for arm in view.arms for r in view.records(arm) if r.get("metric")), view.metric.name)
    label = view.metric.label if own == view.metric.name else f"validation {own.replace('_', ' ')}"
    ax.set_xlabel(f"{quantity.replace('_', '-')} to {label} {target:g}\n(hollow: never reached)" if target else quantity)
    ax.set_title(view.declared.label)
