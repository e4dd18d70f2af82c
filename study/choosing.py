"""The rule that chooses a learning rate from tuning runs. It sees validation scores alone, never reported seeds or splits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.metrics import METRICS, surely

FINALISTS = 2  # rates of a cell that are trained to the end
EXTENSIONS = 2  # times that the grid grows where its best rate lies on an edge


@dataclass(frozen=True)
class Choice:
    """The learning rate of a cell. ``further`` is the rate beyond the edge on which the best one lies, if any."""

    rate: float
    further: float | None
    curve: Mapping[float, float]  # rate -> mean validation score, of the longest runs at that rate


def is_over(run: Mapping[str, Any]) -> bool:
    """Whether training for longer would change nothing: the run failed, diverged, or stopped as it had solved its task.

    So it is of a measuring of costs, which trains nothing.
    """
    if run["status"] != "finished" or "validation" not in run["metrics"]:
        return True
    stops = run["config"]["train"].get("stop_when_solved", True)
    accuracy = run["metrics"]["validation"].get("accuracy", -math.inf)
    return stops and accuracy >= _ceiling(run, "accuracy")


def ranked(runs: Iterable[Mapping[str, Any]], metric: str) -> list[float]:
    """Rates of one cell, the safest first: by the worst seed's validation score, then the mean; speed breaks ties only.

    Worst scores that differ by no more than the metric's margin are alike, as such a difference is the luck of one seed. All
    scores from where a task counts as surely solved are alike too, so there the mean number of steps to solve decides, then
    the lower rate. A rate at which a run diverged, failed or has no such score comes after every rate of which all runs count,
    and one without any score is left out.
    """
    left = {}
    for rate, group in _by_rate(runs).items():
        if scores := _counted(group, metric):
            steps = [math.inf if (solved := run.get("steps_to_solve")) is None else solved for run in group]
            left[rate] = (len(group) - len(scores), min(scores), (-_mean(scores), _mean(steps), rate))
    order = []
    while left:
        fewest = min(lost for lost, *_ in left.values())
        best = max(worst for lost, worst, _ in left.values() if lost == fewest)
        margin = METRICS[metric].margin * (abs(best) if METRICS[metric].relative else 1)
        alike = [rate for rate, (lost, worst, _) in left.items() if lost == fewest and worst >= best - margin]
        order.append(min(alike, key=lambda rate: left[rate][2]))
        del left[order[-1]]
    return order


def finalists(begun: Iterable[Mapping[str, Any]], metric: str) -> list[float]:
    """The rates that are trained to the end, by runs of a share of the steps."""
    return ranked(begun, metric)[:FINALISTS]


def contenders(runs: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    """The finalists that may still be the best on longer training: those with a seed no worse than the first one's worst."""
    order, groups = finalists(runs, metric), _by_rate(runs)
    worst = min(_counted(groups[order[0]], metric)) if order else math.inf
    return [rate for rate in order if max(_counted(groups[rate], metric)) >= worst]


def choose(begun: Sequence[Mapping[str, Any]], ended: Sequence[Mapping[str, Any]], metric: str) -> Choice | None:
    """The best rate of ``ended``, runs to the end; ``begun`` are those of a share of the steps, at every rate that was tried.

    Where the best rate is the lowest or highest that was tried, ``further`` lies as far beyond it as its neighbour on the other
    side. None when no run has a score.
    """
    order = ranked(ended, metric)
    if not order:
        return None
    best, curve = order[0], {}
    for rate, group in (_by_rate(begun) | _by_rate(ended)).items():
        if scores := [score for run in group if (score := _score(run, metric)) is not None]:
            curve[rate] = _mean(scores)
    tried = sorted(_by_rate([*begun, *ended]))
    further = None
    if len(tried) > 1:
        beyond = {tried[0]: tried[0] ** 2 / tried[1], tried[-1]: tried[-1] ** 2 / tried[-2]}
        further = float(f"{beyond[best]:.1g}") if best in beyond else None  # 0.03, not 0.0333, after 0.003 and 0.01
    return Choice(best, further, dict(sorted(curve.items())))


def _by_rate(runs: Iterable[Mapping[str, Any]]) -> dict[float, list[Mapping[str, Any]]]:
    groups: dict[float, list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault(run["plan"]["rate"], []).append(run)
    return groups


def _score(run: Mapping[str, Any], metric: str) -> float | None:
    return run["metrics"].get("validation", {}).get(metric) if run["status"] == "finished" else None


def _counted(runs: Iterable[Mapping[str, Any]], metric: str) -> list[float]:
    """Scores of those that have one, the higher the better, no more than that of a task that is surely solved."""
    sign = METRICS[metric].sign
    return [min(sign * score, _ceiling(run, metric)) for run in runs if (score := _score(run, metric)) is not None]


def _ceiling(run: Mapping[str, Any], metric: str) -> float:
    """The score from which on a task is solved, more or less so; infinite where there is none such."""
    solved_at = run.get("solved_at")
    return math.inf if solved_at is None or metric != "accuracy" else surely(solved_at)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
