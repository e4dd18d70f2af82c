"""What a training took until its validation score first passed a target; a run that never did is censored, not dropped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from study.metrics import METRICS
from study.records import Record

QUANTITIES = ("steps", "samples", "multiply_adds", "seconds")
FORWARD_AND_BACKWARD = 3  # a backward pass has two products for each one of the forward pass


@dataclass(frozen=True)
class Effort:
    """``value``: what it took to the target; where that was not ``reached``, what was spent in all, a lower bound."""

    value: float
    reached: bool


def effort(record: Record, target: float, quantity: str) -> Effort | None:
    """Of a finished run; the first evaluation that passes the target counts. None where the record doesn't say enough.

    steps | samples: sequences seen | multiply_adds: counted, forward and backward, of what the record counts for a token |
    seconds: of steps in this harness, without evaluations; the processor's, where one thread trains.
    """
    if record["status"] != "finished" or not record.get("steps"):
        return None
    metric, sign = f"validation_{record['metric']}", METRICS[record["metric"]].sign
    passed = [row["step"] for row in record["curve"] if row.get(metric) is not None and sign * row[metric] >= sign * target]
    each = _per_step(record, quantity)
    return None if each is None else Effort((passed[0] if passed else record["steps"]) * each, bool(passed))


def median(efforts: Sequence[Effort]) -> Effort | None:
    """Kaplan-Meier median: the value by which half of the runs have reached the target; else the largest lower bound."""
    if not efforts:
        return None
    reached = sorted(each.value for each in efforts if each.reached)
    needed = math.ceil(len(efforts) / 2)
    if len(reached) >= needed:
        return Effort(reached[needed - 1], True)
    return Effort(max(each.value for each in efforts if not each.reached), False)


def steps_to_90(records: Iterable[Record]) -> Effort | None:
    """Median steps to 90 % of runs, of which unsolved ones are censored at their last step; failed ones do not count."""
    runs = [(record.get("steps_to_90"), record.get("steps") or 0) for record in records if record["status"] != "failed"]
    return median([Effort(last if step is None else step, step is not None) for step, last in runs])


def _per_step(record: Record, quantity: str) -> float | None:
    if quantity == "steps":
        return 1.0
    if quantity == "samples":
        return float(record["config"]["train"]["batch"])
    if quantity == "seconds":
        return record.get("step_seconds")
    if quantity == "multiply_adds":
        tokens = record["tokens_seen"] / record["steps"]
        return FORWARD_AND_BACKWARD * tokens * record["multiply_adds_per_token"]
    raise ValueError(f"to_target.{quantity}: known are {', '.join(QUANTITIES)}")
