"""Memory of a training step, counted from the tensors it must keep; on a GPU the allocator's own peak is reported instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

ADAM_STATES = 2  # running means of the gradient and of its square


def training_bytes(parameters: Iterable[nn.Parameter], loss: Callable[[], torch.Tensor]) -> int:
    """Bytes that one AdamW step holds at once, at least: weights, gradients, both moments, and what backward needs.

    A storage that several operations save is counted once; weights that backward needs are not counted again.
    """
    weights = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in parameters}
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage  # held, so that no other tensor gets its address
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss()
    activations = sum(storage.nbytes() for storage in saved.values())
    return (2 + ADAM_STATES) * sum(weights.values()) + activations
