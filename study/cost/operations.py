"""Multiply-adds, counted while a module runs; no formula of the study's own enters."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def counted_multiply_adds(call: Callable[[], Any]) -> int:
    """Multiply-adds of the matrix products and convolutions that ``call()`` carries out, by torch's counter.

    A fused recurrence is one operation that the counter does not know; ask of its plain form (``study.cost.plain``).
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2
