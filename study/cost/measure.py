"""Time and memory of one mixer layer, forward and backward, against the length of the sequence.

B sequences of N tokens, D wide; B N is held constant, so every length works on as many tokens.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from study.cost.memory import saved_bytes
from study.mixers.base import Mixer


def measure(
    mixer: Callable[[], Mixer],
    work: Callable[[int], float],
    *,
    lengths: Sequence[int],
    tokens: int,
    repeats: int,
    device: torch.device,
    autocast: bool = False,
) -> dict[str, dict[str, Any]]:
    """Per length: ``seconds`` and ``bytes`` kept for backward, per sequence, and ``multiply_adds`` per sequence.

    ``work`` gives counted multiply-adds per token. Seconds are medians over ``repeats`` rounds through all lengths, in a
    bare loop, after one round to warm up. Raises ``ValueError`` when a length is longer than ``tokens``.
    """
    if too_long := [length for length in lengths if length > tokens]:
        raise ValueError(f"cost.lengths {too_long} exceed cost.tokens={tokens}; raise cost.tokens")
    layer = mixer().to(device)
    inputs = {n: torch.randn(tokens // n, n, layer.width, device=device, requires_grad=True) for n in lengths}

    def forward(n: int) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            return layer(inputs[n]).float().square().mean()

    seconds: Mapping[int, list[float]] = {n: [] for n in lengths}
    for _ in range(repeats + 1):
        for n in lengths:
            _wait(device)
            start = time.perf_counter()
            forward(n).backward()
            _wait(device)
            seconds[n].append(time.perf_counter() - start)
    return {
        str(n): {
            "seconds": statistics.median(seconds[n][1:]) / len(inputs[n]),
            "bytes": saved_bytes(layer.parameters(), functools.partial(forward, n)) / len(inputs[n]),
            "multiply_adds": work(n) * n,
        }
        for n in lengths
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
