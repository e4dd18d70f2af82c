"""How far a result goes."""

from __future__ import annotations

from analysis.rules.scores import Scores
from analysis.values import joined, layers, trained_length


def scope(scores: Scores, n: int | None, planned: int, tier: str) -> str:
    """In one line: task, slice, lengths, size, seeds (``n`` pairs of those planned), tier, device; of times, threads too."""
    records = scores.records
    configs = [record["config"] for record in records]
    parts = [scores.task]
    if scores.slice:
        parts += [f"{axis} {' and '.join(conditions)}" for axis, conditions in scores.slice.items()]
    cost = [config.get("cost", {}) for config in configs if config.get("measure") == "cost"]
    measured = {length for node in cost for length in node.get("positions") or node.get("lengths", ())}
    if lengths := measured or {trained_length(record) for record in records} - {None}:
        parts.append(f"length {joined(lengths)}")
    trained = {config.get("model", {}).get("width") for config in configs} - {None}
    if widths := {width for node in cost for width in node.get("widths", ())} or trained:
        parts.append(f"{joined(widths)} wide")
    if deep := {layers(record) for record in records} - {None}:
        parts.append(f"{joined(deep)} layers" if deep != {1} else "1 layer")
    seeds = "" if n is None else f"n = {n}" + (f" of {planned}" if n != planned else "")
    devices = joined({record["provenance"].get("device") for record in records})
    if scores.metric.name == "seconds" and (threads := {record["provenance"].get("threads") for record in records} - {None}):
        devices += f", threads: {joined(threads)}"
    return ", ".join(part for part in (*parts, seeds, f"{tier} tier", devices) if part)
