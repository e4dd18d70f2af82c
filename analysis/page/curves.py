"""Learning curves as the page's script reads them: few points, few digits, what runs share said once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.page.table import bounds
from study.records import Record

MOST_POINTS = 40  # of a learning curve on the page; the record keeps them all
SPAN = 5  # digits of a curve's largest value
BY_LOSS = ("bits_per_character", "perplexity")  # a validation loss beside these says nothing new


def curves(records: Sequence[Record]) -> dict[str, Any]:
    """``series``: their names, and their ``bounds``; ``steps``: the grids of steps; ``runs``: each record's grid and series.

    A series is [its name's index, decimals, first value, difference, ...] in units of the last decimal; None is no number.
    """
    series: dict[str, int] = {}
    grids: dict[tuple[int, ...], int] = {}  # most runs are evaluated at the same steps
    runs = []
    for record in records:
        rows = thinned(record["curve"])
        names = [name for name in dict.fromkeys(key for row in rows for key in row) if _is_shown(name, record)]
        drawn = [[series.setdefault(name, len(series)), *_coded([row.get(name) for row in rows])] for name in names]
        runs.append([grids.setdefault(tuple(row["step"] for row in rows), len(grids)), *drawn] if drawn else 0)
    shown = [name.replace("validation_", "validation ").replace("_", " ") for name in series]
    scales = [bounds(name.removeprefix("validation_").removeprefix("train_")).get("bounds") for name in series]
    return {"series": shown, "bounds": scales, "steps": [_differences(grid) for grid in grids], "runs": runs}


def thinned(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    stride = -(-len(rows) // MOST_POINTS)
    if stride <= 1:
        return rows
    kept = list(rows[::stride])
    return kept if kept[-1] is rows[-1] else [*kept, rows[-1]]


def _is_shown(name: str, record: Record) -> bool:
    by_loss = name == "validation_loss" and record.get("metric") in BY_LOSS
    return name != "step" and not by_loss


def _coded(values: Sequence[float | None]) -> list[int | None]:
    """Decimals, then the first value and the differences, in units of the last decimal."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    largest = max((abs(value) for value in known), default=0.0)
    decimals = SPAN - 1 - math.floor(math.log10(largest)) if largest else 0
    decimals = max(0, min(12, decimals))
    coded: list[int | None] = [decimals]
    before = 0
    for value in values:
        if value is None or not math.isfinite(value):
            coded.append(None)
            continue
        units = round(value * 10**decimals)
        coded.append(units - before)
        before = units
    return coded


def _differences(grid: Sequence[int]) -> list[int]:
    return [step - before for before, step in zip((0, *grid), grid, strict=False)]
