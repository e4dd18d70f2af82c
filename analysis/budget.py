"""What a tier costs in CPU- or GPU-hours: in all, spent and left, experiment by experiment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from analysis.results import Results
from study.experiments import Experiment
from study.forecast import Pace, planned

HOUR = 3600.0


def table(experiments: Iterable[Experiment], tier: str, results: Mapping[str, Results]) -> pd.DataFrame:
    """A row per experiment, in hours of one process.

    ``all``: of the planned runs, at the pace of the runs of their cell; where it has none, of the nearest that have. What the
    grid of learning rates may grow by comes on top. ``spent``: of the records. ``left``: of runs without one. ``own``: whether
    any run of the experiment itself tells its pace.
    """
    asked = [experiment for experiment in experiments if tier in experiment.tiers]
    of_tier = {experiment.name: results.get(experiment.name) or Results(experiment, tier, ()) for experiment in asked}
    runs = {name: planned(one.experiment, tier, one.record_of, one.further) for name, one in of_tier.items()}
    pace = Pace()
    for name, one in of_tier.items():
        for run in runs[name]:
            if record := one.record_of(run):
                pace.learn(run, record)
    rows = []
    for name, one in of_tier.items():
        left = [run for run in runs[name] if one.record_of(run) is None]
        rows.append(
            {
                "experiment": name,
                "cells": len(one.experiment.cells(tier)),
                "runs": len(one.records),
                "all": _hours(pace.seconds(runs[name])),
                "spent": sum(record.get("seconds") or 0.0 for record in one.records) / HOUR,
                "left": _hours(pace.seconds(left)),
                "own": bool(one.records),
            }
        )
    return pd.DataFrame(rows)


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / HOUR
