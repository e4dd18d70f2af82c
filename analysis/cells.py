"""The rows of an experiment's tables as a person reads them: text, the digits that an interval supports, the best marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.effort import QUANTITIES
from analysis.formats import measured, number, short, whole, with_interval
from study.metrics import METRICS

OUT = "longer than trained on"
ON_EDGE = " (the smallest or largest tried)"


def score_cells(row: Mapping[str, Any]) -> dict[str, str]:
    """The cells of a score table as a person reads them."""
    metric = METRICS[row["metric"]]
    cells = {
        "arm": row["label"],
        "seeds": f"{row['seeds']} of {row['planned']}",
        metric.label: with_interval(row["mean"], row["low"], row["high"], metric),
    }
    if row["out_mean"] is not None or row["out_note"]:
        scored = with_interval(row["out_mean"], row["out_low"], row["out_high"], metric)
        cells[OUT] = scored if row["out_mean"] is not None else "can't be scored"
    if row["of"]:
        cells["solved"] = f"{row['solved']} of {row['of']}"
        cells["median steps to 90 %"] = row["steps_to_90"] or "-"
    cells |= {"ended": row["ended"], "failed runs": failures(row)}
    cells["differs"] = row["differs"]
    return cells


def best(rows: Sequence[Mapping[str, Any]]) -> set[tuple[int, str]]:
    """(row, column) of the best mean of each column of scores, and of those that read the same; none where all do."""
    marked = set()
    for prefix in ("", "out_"):
        scored = {i: row for i, row in enumerate(rows) if row[f"{prefix}mean"] is not None}
        if not scored:
            continue
        metric = METRICS[rows[0]["metric"]]
        shown = {i: number(row[f"{prefix}mean"], metric) for i, row in scored.items()}
        first = max(scored, key=lambda i: metric.sign * scored[i][f"{prefix}mean"])
        if len(set(shown.values())) > 1:
            marked |= {(i, OUT if prefix else metric.label) for i in shown if shown[i] == shown[first]}
    return marked


def cost_cells(row: Mapping[str, Any]) -> dict[str, str]:
    parameters = row["parameters_embedding"], row["parameters_other"]
    to_target = {}
    if row.get("target") is not None:
        to_target = {f"reached validation {str(row['validated']).replace('_', ' ')} {row['target']:g}": row["reached"]}
        to_target |= {f"median {name.replace('_', '-')} to it": _at_least(row[f"{name}_to_target"]) for name in QUANTITIES}
    return {
        "arm": row["label"],
        "parameters (embedding + other)": " + ".join(filter(None, map(whole, parameters))),
        "feed-forward width": whole(row["ffn_width"]),
        "multiply-adds per token": short(row["multiply_adds_per_token"]),
        "peak memory, MB": _measured(row, "peak_memory_bytes", 1e-6),
        "thousand tokens seen": _measured(row, "tokens_seen", 1e-3),
        "seconds": _measured(row, "seconds"),
        "learning rate": "" if row["rate"] is None else f"{row['rate']:g}{ON_EDGE if row['rate_on_edge'] else ''}",
        **to_target,
    }


def untouched(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nothing has been run yet that a table of scores could show."""
    return all(row["missing"] == row["planned"] for row in rows)


def failures(row: Mapping[str, Any]) -> str:
    """Those without a score; and those that collapsed, which count in the mean all the same."""
    words = [f"{row[word]} {word}" for word in ("diverged", "failed", "missing") if row[word]]
    fallen = row["collapsed"].split()
    return ", ".join([*words, *([f"{len(fallen)} collapsed (seed {' '.join(fallen)})"] if fallen else [])]) or "none"


def floors(rows: Sequence[Mapping[str, Any]]) -> str:
    """Chance level and trivial heuristic of a task, in one sentence."""
    known = next((row for row in rows if row["chance"] is not None or row["heuristic"]), None)
    if known is None:
        return ""
    metric, said = METRICS[known["metric"]], []
    if known["chance"] is not None:
        said.append(f"Chance: {number(known['chance'], metric)}.")
    if known["heuristic"]:
        said.append(f"Trivial heuristic ({known['heuristic']}): {number(known['heuristic_score'], metric)}.")
    return " ".join(said)


def _measured(row: Mapping[str, Any], key: str, scale: float = 1) -> str:
    """A mean with its interval."""
    mean, low, high = row[key], row[f"{key}_low"], row[f"{key}_high"]
    return "" if mean is None else measured(mean, low, high, scale)


def _at_least(text: str) -> str:
    """A median as short as it can be read: "> 1.28e+12" as "> 1.28T"."""
    sign, _, value = text.rpartition(" ")
    return f"{sign} {short(float(value))}".lstrip() if value else ""
