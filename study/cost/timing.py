"""Seconds of what is compared, taken in turns, so that a busy machine slows all of it alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch

Side = TypeVar("Side", str, int)


def medians(sides: Mapping[Side, Callable[[], float]], repeats: int) -> dict[Side, float]:
    """Median over ``repeats`` rounds through all sides, after one to warm up; a side returns its own seconds."""
    seconds: dict[Side, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, side in sides.items():
            seconds[name].append(side())
    return {name: statistics.median(taken[1:]) for name, taken in seconds.items()}


def timed(call: Callable[[], object], device: torch.device, times: int = 1) -> float:
    """Seconds of one of ``times`` calls, the device's queue drained before and after."""
    wait_for(device)
    start = time.perf_counter()
    for _ in range(times):
        call()
    wait_for(device)
    return (time.perf_counter() - start) / times


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
