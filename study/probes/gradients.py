"""How much of a loss's gradient comes back to a token, against its distance from where the answer is read.

Shapes: B sequences, N tokens, T scored places, D width.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from study.probes.base import Subject
from study.tasks.base import IGNORE, Batch

SEQUENCES = 32


def come_back(subject: Subject) -> dict[str, dict[str, float]]:
    """By distance (1, 2, 4, ... from the last scored place): ``{"gradient": norm}``, of the model as it is.

    The norm of d(cross-entropy at that place) / d(token embedding at that distance before it), its mean over the first
    sequences of the validation split that are as long. In double precision, where what vanishes is still a number. Without
    dropout, and without a draw from the run's random streams.
    """
    model = copy.deepcopy(subject.model).double().eval()
    batch = _last_alone(subject.draw(subject.task, "validation", 0, SEQUENCES))
    embedded: list[Tensor] = []

    def leaf(_: Any, __: Any, x_BND: Tensor) -> Tensor:
        embedded.append(x_BND.detach().requires_grad_())
        return embedded[0]

    model.embedding.register_forward_hook(leaf)
    with torch.backends.cudnn.flags(enabled=False), torch.enable_grad():  # cuDNN's recurrences have no gradient in eval
        loss = model.loss(**batch.inputs(), targets_BT=batch.targets_BT)
        (gradient_BND,) = torch.autograd.grad(loss, embedded)
    norm_BN = gradient_BND.norm(dim=-1) * len(gradient_BND)  # the loss is a mean over sequences
    assert batch.where_BT is not None
    last_B1, N = batch.where_BT, norm_BN.shape[1]
    found = {}
    for distance in (2**power for power in range(N.bit_length()) if 2**power < N):
        there_B = last_B1[:, 0] >= distance
        if there_B.any():
            norm_B1 = norm_BN[there_B].gather(1, last_B1[there_B] - distance)
            found[str(distance)] = {"gradient": float(norm_B1.mean())}
    return found


def _last_alone(batch: Batch) -> Batch:
    """The batch with one scored place a sequence (T = 1), its last one."""
    scored_BT = batch.targets_BT != IGNORE
    where_BT = torch.arange(scored_BT.shape[1], device=scored_BT.device).expand_as(scored_BT)
    where_BT = where_BT if batch.where_BT is None else batch.where_BT
    t_B1 = where_BT.masked_fill(~scored_BT, -1).argmax(1, keepdim=True)
    return Batch(batch.tokens_BN, batch.targets_BT.gather(1, t_B1), where_BT.gather(1, t_B1), batch.mask_BN)
