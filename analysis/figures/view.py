"""One task of an experiment as the panels of its figure see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.figures.style import SHARES, arm_style, log_ticks
from analysis.results import Results
from analysis.statistics import mean_interval
from analysis.tables import tells_chance
from analysis.values import measure
from study.declarations import TaskVariant
from study.metrics import METRICS, Metric
from study.records import Record

LOWER = "lower is better".replace(" ", "\N{NO-BREAK SPACE}")


@dataclass(frozen=True)
class View:
    """``asked`` is the metric named in the figure's keys; ``only`` the arms named there."""

    results: Results
    task: str
    asked: str = ""
    only: tuple[str, ...] = ()

    @property
    def declared(self) -> TaskVariant:
        return self.results.experiment.tasks[self.task]

    @property
    def arms(self) -> list[str]:
        """Those to draw."""
        named = self.only or self.results.experiment.arms
        tier = self.results.experiment.sizes(self.results.tier).arms
        return [arm for arm in named if arm in tier and arm in self.declared.arms]

    @property
    def metric(self) -> Metric:
        """The metric asked for, or where none is the task's own."""
        return METRICS[self.asked or self.declared.metric]

    def label(self, arm: str) -> str:
        return self.results.experiment.arms[arm].label

    def arm_style(self, arm: str) -> tuple[str, str, Any]:
        return arm_style(self.results.experiment, arm)

    def tag(self, arm: str, name: str) -> Any | None:
        return self.results.experiment.arms[arm].tags.get(name)

    def records(self, arm: str) -> list[Record]:
        """Of verdict seeds, those that finished or diverged."""
        return list(self.results.seeds((arm, self.task)).values())

    def scores(self, arm: str, path: str) -> list[float]:
        return [value for record in self.records(arm) if (value := measure(record, path)) is not None]

    def chance(self) -> float | None:
        """Chance level of the task's own metric."""
        records = (record for arm in self.declared.arms for record in self.records(arm))
        own = self.declared.metric
        return next((r["chance"] for r in records if r.get("chance") is not None and tells_chance(r, own)), None)

    def axis(self, wanted: str | list[str]) -> str | None:
        """The first of the slices wanted that the task's records have."""
        records = [record for arm in self.declared.arms for record in self.records(arm)]
        axes_kept = {axis for record in records for axes in record.get("slices", {}).values() for axis in axes}
        return next((axis for axis in ([wanted] if isinstance(wanted, str) else wanted) if axis in axes_kept), None)


def dots(
    ax: Any, y: float, scores: Sequence[float], bounds: tuple[float, float], style: tuple[str, str, Any], **mark: Any
) -> None:
    """A row of its own: the mean with its 95 % interval, and a dash for each score."""
    colour, marker, _ = style
    mean, low, high = mean_interval(scores, bounds=bounds)
    if mean is None:
        return
    ax.plot(scores, [y] * len(scores), "|", color=colour, ms=6, alpha=0.6)
    if low is not None:
        ax.plot([low, high], [y, y], color=colour, lw=1.6)
    ax.plot([mean], [y], marker, color=colour, ms=5.5, **mark)


def score_label(metric: Metric) -> str:
    return metric.label if metric.better == "higher" else f"{metric.label} ({LOWER})"


def frame(ax: Any, view: View, metric: Metric) -> None:
    """Title, score axis and chance level of a panel with the score upright."""
    if metric.percent:
        ax.set_ylim(-0.03, 1.06)
        ax.set_yticks(SHARES)
    elif metric.relative:
        ax.set_yscale("log")
        log_ticks(ax.yaxis)
    else:
        ax.yaxis.get_major_locator().set_params(nbins=5)
    chance = view.chance() if metric.name == view.declared.metric else None
    low, high = ax.get_ylim()
    if chance is not None and low <= chance <= high:
        ax.axhline(chance, color="#555555", lw=0.9, ls=(0, (1, 2)))
        ax.text(1.01, chance, "chance", transform=ax.get_yaxis_transform(), fontsize=7, va="center", color="#555555")
    ax.set_ylabel(score_label(metric))
    ax.set_title(view.declared.label)
