"""The cost of an image model, forward and backward, against the size of its images."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch

from study.cost.counting import multiply_adds
from study.cost.memory import saved_bytes
from study.cost.timing import medians, timed


def measure_images(
    model: Any, *, sizes: Sequence[int], images: int, repeats: int, device: torch.device, autocast: bool = False
) -> dict[str, dict[str, Any]]:
    """Per size: ``seconds`` and ``bytes`` kept for backward, ``multiply_adds`` and, the same, ``counted_multiply_adds``
    (forward), all per image.

    A call sees ``images`` of ``size`` x ``size`` pixels. Seconds are medians over ``repeats`` rounds through all sizes, in a
    bare loop, after one round to warm up.
    """
    model = model.to(device)
    inputs = {size: torch.rand(images, size, size, device=device) for size in sizes}
    targets_BT = torch.zeros(images, 1, dtype=torch.long, device=device)

    def forward(size: int) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            return model.loss(inputs[size], targets_BT)

    def step(size: int) -> float:
        return timed(lambda: forward(size).backward(), device)

    seconds = medians({size: functools.partial(step, size) for size in sizes}, repeats)
    return {
        str(size): {
            "seconds": seconds[size] / images,
            "bytes": saved_bytes(model.parameters(), functools.partial(forward, size)) / images,
            **dict.fromkeys(("multiply_adds", "counted_multiply_adds"), multiply_adds(model, inputs[size][:1])),
        }
        for size in sizes
    }
