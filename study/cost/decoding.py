"""Time and memory of decoding step by step, against the position in the sequence."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from study.cost.timing import wait_for
from study.mixers.base import Mixer

NEAR = 16  # the steps up to a position whose median counts as its time


def decode(
    mixer: Mixer, *, positions: Sequence[int], repeats: int, device: torch.device, autocast: bool = False
) -> dict[str, dict[str, Any]]:
    """Per position: ``seconds`` of one ``mixer.step`` of one sequence that is so far on, and ``bytes`` of its state.

    Seconds are medians over the last 16 steps up to the position in each of ``repeats`` passes, after one to warm up.
    Raises ``ValueError`` unless the mixer is causal.
    """
    mixer = mixer.to(device)
    x_BD = torch.randn(1, mixer.width, device=device)
    seconds: dict[int, list[float]] = {p: [] for p in positions}
    sizes = {}
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
        for repeat in range(repeats + 1):
            state = mixer.initial_state(1, device)
            taken = []
            for position in range(1, max(positions) + 1):
                wait_for(device)
                start = time.perf_counter()
                _, state = mixer.step(x_BD, state)
                wait_for(device)
                taken.append(time.perf_counter() - start)
                if position in seconds:
                    sizes[position] = _bytes(state)
                    seconds[position] += taken[-NEAR:] if repeat else []
    return {str(p): {"seconds": statistics.median(seconds[p]), "bytes": sizes[p]} for p in positions}


def _bytes(state: Any) -> int:
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    return sum(_bytes(part) for part in state or ())
