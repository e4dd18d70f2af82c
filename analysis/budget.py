"""What a tier costs in CPU- or GPU-hours: planned, spent and left, experiment by experiment."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

import pandas as pd

from analysis.results import Results
from study.choosing import FINALISTS
from study.experiments import SHARE, Cell, Experiment
from study.records import Record

HOUR = 3600.0


def table(experiments: Iterable[Experiment], tier: str, results: Mapping[str, Results]) -> pd.DataFrame:
    """A row per experiment, in hours of one process.

    ``at_most``: of all declared runs, each to its last step, at the seconds a step of the cell's own runs took (where it has
    none, of the experiment's); what the grid of learning rates may grow by comes on top. ``spent``: of the records.
    ``left``: at most, of runs without a record. A run that solves its task ends sooner.
    """
    rows = [_row(experiment, tier, results.get(experiment.name)) for experiment in experiments if tier in experiment.tiers]
    return pd.DataFrame(rows)


def _row(experiment: Experiment, tier: str, results: Results | None) -> dict[str, object]:
    records = results.records if results else []
    ever = [*records, *(results.stale if results else ())]  # runs of an earlier plan tell how long a step takes as well
    done = {cell: [r for r in records if (r["plan"]["arm"], r["plan"]["task"]) == cell] for cell in experiment.cells(tier)}
    usual = _step_seconds(ever)
    whole = left = 0.0
    known = True
    for cell in experiment.cells(tier):
        if experiment.tasks[cell[1]].measure != "training":
            continue
        seconds = _step_seconds(r for r in ever if (r["plan"]["arm"], r["plan"]["task"]) == cell) or usual
        known &= seconds is not None
        cap = experiment.steps(tier, cell) * (seconds or 0.0)
        runs = _caps(experiment, tier, cell)
        whole += runs * cap
        left += max(0.0, runs - sum(map(_share, done[cell]))) * cap
    return {
        "experiment": experiment.name,
        "cells": len(experiment.cells(tier)),
        "runs": len(records),
        "at_most": whole / HOUR if known else None,
        "spent": sum(record.get("seconds") or 0.0 for record in records) / HOUR,
        "left": left / HOUR if known else None,
    }


def _caps(experiment: Experiment, tier: str, cell: Cell) -> float:
    """How many runs to the cap a cell's runs amount to."""
    sizes = experiment.sizes(tier)
    tuning = len(sizes.rates) * len(sizes.tuning_seeds) * 1.0
    if experiment.is_halving(tier):
        tuning = (len(sizes.rates) * SHARE + FINALISTS * (1 - SHARE)) * len(sizes.tuning_seeds)
    return len(sizes.verdict_seeds) + (tuning if experiment.tuned(cell) == cell else 0.0)


def _share(record: Record) -> float:
    """Of a run to the cap; one that is over sooner stands for a whole one."""
    train = record["config"]["train"]
    until = train.get("until", 1.0)
    if record["plan"]["role"] == "tuning" and until == 1.0:
        return 1 - SHARE
    return until


def _step_seconds(records: Iterable[Record]) -> float | None:
    taken = [
        seconds / steps for record in records if (steps := record.get("steps")) and (seconds := record.get("train_seconds"))
    ]
    return statistics.median(taken) if taken else None
