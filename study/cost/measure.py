"""What one mixer layer costs, forward and backward, at points of (width, length).

B sequences of N tokens, D wide. Either B is held constant, or B N, so that every length works on as many tokens; a
recurrence needs many sequences at once to be fast, so with fewer at greater lengths its time grows by more than its work.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from study.cost.counting import multiply_adds
from study.cost.critical_path import critical_path
from study.cost.hops import hops
from study.cost.memory import saved_bytes
from study.cost.plain import PlainForm
from study.cost.timing import medians, timed
from study.mixers.base import Mixer

Point = tuple[int, int]  # width, length


def check_lengths(lengths: Iterable[int], tokens: int, sequences: int | None) -> None:
    """Raises ``ValueError`` where a call, which works on as many sequences as hold ``tokens``, holds not one of a length."""
    if sequences is None and (too_long := sorted({length for length in lengths if length > tokens})):
        raise ValueError(f"cost.lengths {too_long} exceed cost.tokens={tokens}; raise cost.tokens")


def measure(
    mixer: Callable[[int, int], Mixer],
    *,
    points: Mapping[str, Point],
    tokens: int,
    sequences: int | None = None,
    repeats: int,
    device: torch.device,
    autocast: bool = False,
) -> dict[str, dict[str, Any]]:
    """Per point: ``seconds`` and ``bytes`` kept for backward, ``multiply_adds`` of the mechanism and
    ``counted_multiply_adds`` as carried out (forward), all per sequence; ``critical_path`` and ``hops``.

    ``mixer(width, layer)`` builds a layer.
    A call works on ``sequences`` at once, or where that is None on as many as hold ``tokens``.
    Seconds are medians over ``repeats`` rounds through all points, in a bare loop, after one round to warm up. Raises
    ``ValueError`` when a length is longer than ``tokens``.
    """
    check_lengths((length for _, length in points.values()), tokens, sequences)
    layers = {width: mixer(width, 0).to(device) for width, _ in points.values()}
    inputs = {
        key: torch.randn(sequences or tokens // length, length, width, device=device, requires_grad=True)
        for key, (width, length) in points.items()
    }

    def forward(key: str) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            return layers[points[key][0]](inputs[key]).float().square().mean()

    def step(key: str) -> float:
        return timed(lambda: forward(key).backward(), device)

    seconds = medians({key: functools.partial(step, key) for key in points}, repeats)
    return {
        key: {
            "seconds": seconds[key] / len(inputs[key]),
            "bytes": saved_bytes(layers[width].parameters(), functools.partial(forward, key)) / len(inputs[key]),
            **count(functools.partial(mixer, width), width, length),
        }
        for key, (width, length) in points.items()
    }


def count(layer: Callable[[int], Mixer], width: int, length: int) -> dict[str, float | None]:
    """What is counted of one sequence rather than timed: the same on every machine."""
    first = layer(0)
    x_BND = torch.randn(1, length, width, requires_grad=True)
    return {
        "multiply_adds": float(multiply_adds(first.counted_as, x_BND)),
        "counted_multiply_adds": multiply_adds(first, x_BND),
        "critical_path": critical_path(PlainForm(first)(x_BND)),
        "hops": hops(layer, length),
    }
