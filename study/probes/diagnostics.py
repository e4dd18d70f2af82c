"""Diagnostics of a model on a few sequences: the spread of gradients over its depth, the rank of its output.

M real tokens, D width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from study.probes.base import Subject

SEQUENCES = 16  # enough for the rank of D = 64, and cheap beside one training step


def diagnose(subject: Subject) -> dict[str, float]:
    """Of the model as it is, on the first sequences of the validation split.

    ``gradient_ratio``: norm of the loss's gradient in the first block over that in the last. ``effective_rank``: of
    what the head reads at real tokens, from 1 (all tokens alike) to D. Without dropout, and without a draw from the
    run's random streams.
    """
    model, training = subject.model, subject.training
    batch = subject.draw(subject.task, "validation", 0, SEQUENCES)
    subject.eval()
    with torch.backends.cudnn.flags(enabled=False), torch.enable_grad():  # cuDNN's recurrences have no gradient in eval
        read_BND = model.represent(batch.tokens_BN, mask_BN=batch.mask_BN)
        loss = subject.loss(batch)
        first, last = (_gradient_norm(loss, block) for block in (model.blocks[0], model.blocks[-1]))
    subject.train(training)
    read_MD = read_BND.flatten(0, 1) if batch.mask_BN is None else read_BND[batch.mask_BN]
    return {"gradient_ratio": first / last if last else math.inf, "effective_rank": effective_rank(read_MD.detach())}


def effective_rank(rows_MD: Tensor) -> float:
    """exp of the entropy of the singular values, taken as shares of their sum (Roy & Vetterli 2007, definition 2)."""
    values = torch.linalg.svdvals(rows_MD.double())
    shares = values / values.sum()
    return float(torch.special.entr(shares).sum().exp())


def _gradient_norm(loss: Tensor, block: nn.Module) -> float:
    gradients = torch.autograd.grad(loss, list(block.parameters()), retain_graph=True)
    return float(nn.utils.get_total_norm([gradient.double() for gradient in gradients]))
