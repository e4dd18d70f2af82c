"""Memory of a training step, counted from the tensors it must keep; on a GPU the allocator's own peak is reported instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

ADAM_STATES = 2  # running means of the gradient and of its square


def training_bytes(parameters: Iterable[nn.Parameter], loss: Callable[[], torch.Tensor]) -> int:
    """Bytes that one AdamW step holds at once, at least: weights, gradients, both moments, and what backward needs.

    A storage that several operations save is counted once.
    """
    parameters = list(parameters)
    weights = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in parameters}
    return (2 + ADAM_STATES) * sum(weights.values()) + saved_bytes(parameters, loss)


def saved_bytes(parameters: Iterable[nn.Parameter], loss: Callable[[], torch.Tensor]) -> int:
    """Bytes that the backward pass of ``loss()`` keeps: each storage once, the parameters' own not at all."""
    weights = {p.untyped_storage().data_ptr() for p in parameters}
    saved: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> None:  # returns None: an output saved by its own node would never be freed
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage  # held, so that no other tensor gets its address

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda nothing: nothing):
        loss()
    return sum(storage.nbytes() for storage in saved.values())
