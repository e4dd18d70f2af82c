"""The rule that chooses a learning rate from tuning runs. It sees validation scores alone, never reported seeds or splits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from study.metrics import METRICS


@dataclass(frozen=True)
class Choice:
    """The learning rate of a cell. ``further`` is the rate beyond the edge on which the best one lies, if any."""

    rate: float
    further: float | None
    curve: Mapping[float, float]  # rate -> mean validation score


def choose_rate(runs: Iterable[Mapping[str, Any]], metric: str, extend: bool = False) -> Choice | None:
    """Rule *solved, then fastest, then best*.

    ``runs`` are tuning records of one cell, of any status. Rates are ranked by how many seeds solved the task, then by the
    mean number of steps these took, then by the mean validation score. A rate at which a run diverged, failed or has no such
    score is ranked by its other runs, after every rate of which all runs count. None when no run has a score.
    """
    by_rate: dict[float, list[Mapping[str, Any]]] = {}
    for run in runs:
        by_rate.setdefault(run["plan"]["rate"], []).append(run)
    ranked, curve = [], {}
    for rate, group in by_rate.items():
        finished = [run for run in group if run["status"] == "finished"]
        scored = [run for run in finished if run["metrics"].get("validation", {}).get(metric) is not None]
        if not scored:
            continue
        score = math.fsum(run["metrics"]["validation"][metric] for run in scored) / len(scored)
        steps = [run["steps_to_solve"] for run in scored if run.get("steps_to_solve") is not None]
        mean_steps = math.fsum(steps) / len(steps) if steps else math.inf
        curve[rate] = score
        ranked.append((len(group) - len(scored), -len(steps), mean_steps, -METRICS[metric].sign * score, rate))
    if not ranked:
        return None
    best = min(ranked)[-1]
    rates = sorted(by_rate)
    further = None
    if extend and len(rates) > 1:
        ratio = rates[1] / rates[0]
        further = {rates[0]: rates[0] / ratio, rates[-1]: rates[-1] * ratio}.get(best)
    return Choice(best, float(f"{further:.3g}") if further else None, dict(sorted(curve.items())))
