"""A plain grid of single runs, ``python run.py -m mixer=attention,lstm seed=0,1``: how far it is, and what it found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.table import Table

from study import records, schema
from study.progress import Files, State, written


class Grid:
    """``jobs`` are the overrides of each run, ``configs`` what they compose to."""

    def __init__(self, jobs: Sequence[Sequence[str]], configs: Sequence[DictConfig]):
        self.settings = [{key: value for key, _, value in (override.partition("=") for override in job)} for job in jobs]
        self.paths = list(dict.fromkeys(Path(config.runs) / schema.name(config) / records.NAME for config in configs))
        self.files = Files(self.paths)
        self.made, self.started = 0, time.monotonic()

    def look(self) -> State:
        self.made += len(self.files.new())
        done, planned = sum(written(path) is not None for path in self.paths), len(self.paths)
        left = (time.monotonic() - self.started) / self.made * (planned - done) if self.made else None
        return State("grid", done, planned, "runs", left)

    def table(self, outcomes: Sequence[Any]) -> Table:
        """A row per run: the keys that differ among them, then its scores, steps and seconds, or what went wrong."""
        varied = [key for key in self.settings[0] if len({setting.get(key) for setting in self.settings}) > 1]
        found = [_scores(outcome.record) for outcome in outcomes]
        scores = list(dict.fromkeys(name for own in found for name in own))
        table = Table(box=None, pad_edge=False)
        for key in varied:
            table.add_column(key, overflow="fold")
        for name in [*scores, "steps", "seconds"]:
            table.add_column(name, justify="right")
        table.add_column("", overflow="fold")
        for setting, outcome, own in zip(self.settings, outcomes, found, strict=True):
            record = outcome.record or {}
            seconds = f"{record['seconds']:.0f}" if "seconds" in record else ""
            numbers = [*(own.get(name, "") for name in scores), str(record.get("steps", "")), seconds]
            state = "" if outcome.state == "finished" else f"{outcome.state}: {outcome.error}"
            table.add_row(*(setting.get(key, "") for key in varied), *numbers, state)
        return table


def _scores(record: records.Record | None) -> dict[str, str]:
    """Of validation and test, in the task's own metric and by what was written."""
    if record is None or record["status"] != "finished":
        return {}
    names = dict.fromkeys([record["metric"], *record.get("decoded", [])])
    return {
        f"{split} {name.replace('_', ' ')}": f"{score:.4f}"
        for name in names
        for split in ("validation", "test")
        if (score := record["metrics"].get(split, {}).get(name)) is not None
    }
