"""Tables of measured costs (tasks with ``measure: cost``): how they grow, and where one arm costs less than another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis import formats
from analysis.results import Results
from analysis.statistics import crossings, growth, mean_interval

Quantities = Mapping[str, tuple[str, float, str]]  # key of a record's slice -> words, scale, unit


class Axis(NamedTuple):
    """What costs are measured along: its name on a figure, the letter that powers are told in, and what is measured of what."""

    name: str
    letter: str
    quantities: Quantities
    of: str = "one layer"
    per: str = "sequence"


MEASURED: Quantities = {  # forward and backward, or (what is counted) forward
    "multiply_adds": ("multiply-adds in closed form", 1e-6, "million"),
    "counted_multiply_adds": ("counted multiply-adds", 1e-6, "million"),
    "critical_path": ("critical path", 1, "operations"),
    "hops": ("hops", 1, "layers or steps"),
    "seconds": ("time", 1e3, "ms"),
    "bytes": ("memory kept for backward", 1e-6, "MB"),
}
DECODED: Quantities = {  # of one step of one sequence
    "seconds": ("time of a step", 1e6, "microseconds"),
    "bytes": ("state", 1e-3, "kB"),
}
IMAGES = {key: MEASURED[key] for key in ("multiply_adds", "counted_multiply_adds", "seconds", "bytes")}
AXES = {  # by split and axis of a record's slices
    ("cost", "length"): Axis("sequence length n", "n", MEASURED),
    ("cost", "width"): Axis("width d", "d", MEASURED),
    ("cost", "size"): Axis("image size s in pixels", "s", IMAGES, "one image", "image"),
    ("decoding", "position"): Axis("position t", "t", DECODED, per=""),
}
POINT = ["task", "arm", "label", "split", "axis", "value"]
COMPARED = ("counted_multiply_adds", "seconds")

Cells = list[dict[str, str]]


def measured(results: Results) -> pd.DataFrame:
    """One row per (task, arm, axis, value): means over the seeds, which repeat the measurement, with 95 % t intervals."""
    points = []
    for arm, task in results.experiment.cells(results.tier):
        for record in results.seeds((arm, task)).values() if not results.is_trained(task) else ():
            for split, axis in AXES if record["status"] == "finished" else ():
                found = record.get("slices", {}).get(split, {}).get(axis, {})
                for value in sorted(found, key=float):
                    label = results.experiment.arms[arm].label
                    points.append((task, arm, label, split, axis, int(float(value)), *map(found[value].get, MEASURED)))
    repeated = pd.DataFrame(points, columns=[*POINT, *MEASURED]).groupby(POINT, sort=False)
    rows = []
    for point, group in repeated:
        row = dict(zip(POINT, point, strict=True))
        for key in MEASURED:
            found = mean_interval(group[key].dropna().tolist(), bounds=(0.0, math.inf))
            row[key], row[f"{key}_low"], row[f"{key}_high"] = found
        rows.append({**row, "seeds": group["seconds"].count()})
    bounds = [f"{key}{end}" for key in MEASURED for end in ("", "_low", "_high")]
    table = pd.DataFrame(rows, columns=[*POINT, *bounds, "seeds"])
    return table.astype(dict.fromkeys(bounds, float))


def measured_cells(results: Results, task: str) -> Cells:
    """What a layer costs at the largest value of each axis, and how that grows along it, one line per arm."""
    lines = []
    costs = measured(results)
    for label, own in costs[costs["task"] == task].groupby("label", sort=False):
        cells = {"arm": str(label), "seeds": str(own["seeds"].max())}
        for axis, (_, letter, quantities, *_) in AXES.items():
            for last in (rows := _along(own, axis)).tail(1).to_dict("records"):
                for key, (words, scale, unit) in quantities.items():
                    if pd.notna(last[key]):
                        value = formats.measured(last[key], last[f"{key}_low"], last[f"{key}_high"], scale, unit)
                        grows = ", ".join(filter(None, (value, _grows(rows, letter, key))))
                        cells[f"{words} at {letter} = {last['value']}"] = grows
        lines.append(cells)
    return lines


def tables(results: Results) -> dict[str, Cells]:
    """Tables over all measurements of cost together, by title; none where costs are measured along one axis only."""
    titled = {}
    costs = measured(results)
    if costs.loc[costs["split"] == "cost", "axis"].nunique() > 1:
        titled["Growth of a layer's costs with length n and width d"] = growth_cells(costs)
    if (arm := results.experiment.figure.get("against")) and results.cost_tasks:
        labels = {name: declared.label for name, declared in results.experiment.arms.items()}
        titled[f"Where {labels[arm]} costs less"] = crossover_cells(costs, arm, labels)
    return titled


def growth_cells(costs: pd.DataFrame) -> Cells:
    """How each cost of a layer grows with length n and width d, over all tasks that measure it, one line per arm."""
    lines = []
    for label, own in costs.groupby("label", sort=False):
        cells = {"arm": str(label)}
        for key, (words, _, _) in MEASURED.items():
            letters = [(axis, known.letter) for axis, known in AXES.items() if axis[0] == "cost"]
            grows = [(_grows(_along(own, axis), letter, key), letter) for axis, letter in letters]
            cells[words] = "; ".join(f"{letter}^0" if grown == "constant" else grown for grown, letter in grows if grown)
        lines.append(cells)
    return lines


def crossover_cells(costs: pd.DataFrame, arm: str, labels: dict[str, str]) -> Cells:
    """Where along length and width ``arm`` costs less than each other arm, in operations and in time."""
    lines = []
    for other in (name for name in labels if name != arm):
        cells = {"arm": labels[other]}
        for axis, (_, letter, quantities, *_) in AXES.items():
            rows = _along(costs, axis)
            for key in COMPARED:
                known = rows[rows[key] > 0].pivot_table(index="value", columns="arm", values=key, aggfunc="last")
                pair = known.reindex(columns=[arm, other]).dropna()
                if len(pair) > 1:
                    at, own, others = pair.index.tolist(), pair[arm].tolist(), pair[other].tolist()
                    cells[f"{quantities[key][0]}, along {letter}"] = where_less(letter, at, own, others)
        lines += [cells] if len(cells) > 1 else []
    return lines


def where_less(letter: str, x: Sequence[int], a: Sequence[float], b: Sequence[float]) -> str:
    """Where ``a`` lies below ``b``, in words."""
    below, parts = a[0] < b[0], []
    for at in crossings(x, a, b):
        parts.append(f"up to {letter} = {at:.0f}" if below else f"from {letter} = {at:.0f}")
        below = not below
    return ", ".join(parts) or f"{'everywhere' if below else 'nowhere'} from {x[0]} to {x[-1]}"


def _along(costs: pd.DataFrame, axis: tuple[str, str]) -> pd.DataFrame:
    return costs[(costs["split"] == axis[0]) & (costs["axis"] == axis[1])]


def _grows(rows: pd.DataFrame, letter: str, key: str) -> str:
    known = rows[rows[key] > 0]
    return growth(letter, known["value"].tolist(), known[key].tolist(), may_be_log=key == "hops")
