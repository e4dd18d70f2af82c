"""How the heads of a layer differ: in where they attend, in what they write, and in what is lost without them.

Shapes: B sequences, N tokens, T scored places, L layers, H heads, D width, K head width, Q queries of a batch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study import parts
from study.mixers.attention import Attention
from study.mixers.base import Mixer
from study.probes.base import Subject, batches, real, right
from study.tasks.base import IGNORE, Batch

NEEDED = 0.02  # a head is needed when accuracy falls by more without it: the study's margin of accuracy


def check(mixer: type[Mixer]) -> None:
    """Raises ``ValueError`` where a mixer has no heads of its own to compare."""
    if mixer is not Attention:
        raise ValueError(
            f"evaluation.heads compares the heads of full attention, not of {parts.choice(mixer)}; use mixer=attention"
        )


@torch.no_grad()
def examine(subject: Subject) -> dict[str, Any]:
    """Of the model as it is, on test batches.

    needed: share of heads whose output can't be zeroed without a loss of accuracy above NEEDED (Michel et al. 2019).
    apart, overlap: see ``differences``. The same of two models made from this one by hand, built_* where heads differ as much
    as heads can, copies_* where they are all the same: what these two measures can say at most and at least.
    """
    training = subject.training
    subject.eval()
    found = {"needed": _needed(subject)}
    for prefix, model in {"": subject.model, "built_": built(subject.model), "copies_": copies(subject.model)}.items():
        found |= {f"{prefix}{name}": value for name, value in differences(subject, model).items()}
    subject.train(training)
    return found


def differences(subject: Subject, model: Any) -> dict[str, float | None]:
    """Means over pairs of heads of a layer, at the queries whose output is used; None where no layer has two heads.

    apart: the share of their attention that two heads put on different tokens (the total variation distance of their
    weights; 0: on the same ones alike, 1: on none in common). overlap: the cosine of the covariances of what two heads write
    (0: into orthogonal subspaces, 1: in the same way).
    """
    written = [Written(mixer.out, mixer.heads) for mixer in model.mixers]
    queries = [0] * len(written)
    apart_LHH: list[Any] = [0] * len(written)
    for batch in batches(subject, "test"):
        used_LBN = used(batch, len(written))
        with ExitStack() as watching:
            for found, used_BN in zip(written, used_LBN, strict=True):
                watching.enter_context(found.watching(used_BN))
            maps = model.maps(batch.tokens_BN, batch.mask_BN)
        for layer, (maps_BHNN, used_BN) in enumerate(zip(maps, used_LBN, strict=True)):
            queries[layer] += int(used_BN.sum())
            apart_LHH[layer] += distances(maps_BHNN.transpose(1, 2)[used_BN])
    return {
        "apart": _mean(
            [share for total_HH, count in zip(apart_LHH, queries, strict=True) for share in _others(total_HH / count)]
        ),
        "overlap": _mean([cosine for found in written for cosine in _others(found.cosines())]),
    }


def used(batch: Batch, layers: int) -> list[Tensor]:
    """(B, N) of each layer, True at the queries whose output is used: real tokens, in the last layer the scored places."""
    scored_BT = (batch.targets_BT != IGNORE).long()
    where_BT = torch.arange(scored_BT.shape[1], device=scored_BT.device).expand_as(scored_BT)
    where_BT = where_BT if batch.where_BT is None else batch.where_BT
    scored_BN = torch.zeros_like(batch.tokens_BN).scatter_add(1, where_BT, scored_BT) > 0
    return [*[real(batch)] * (layers - 1), scored_BN]


def distances(rows_QHN: Tensor) -> Tensor:
    """(H, H): total variation distance of the weights of heads, summed over queries."""
    shared_QHH = torch.minimum(rows_QHN[:, :, None], rows_QHN[:, None]).sum(-1)
    return (1 - shared_QHH).sum(0)


@contextmanager
def ablated(mixer: Any, head: int) -> Iterator[None]:
    """In this context a head's output is zero."""
    K = mixer.head_width
    columns = torch.arange(head * K, (head + 1) * K, device=mixer.out.weight.device)
    handle = mixer.out.register_forward_pre_hook(lambda _, args: (args[0].index_fill(-1, columns, 0),))
    try:
        yield
    finally:
        handle.remove()


class Written:
    """What each head of a layer writes into the residual stream: covariances, over the queries of watched passes."""

    def __init__(self, out: nn.Linear, heads: int) -> None:
        self.out, self.heads = out, heads
        self.count = 0
        self.sum_HD: Any = 0
        self.products_HDD: Any = 0

    @contextmanager
    def watching(self, used_BN: Tensor) -> Iterator[None]:
        handle = self.out.register_forward_pre_hook(lambda _, args: self.add(args[0][used_BN]))
        try:
            yield
        finally:
            handle.remove()

    def add(self, y_QX: Tensor) -> None:
        """``y_QX``: the heads' outputs side by side."""
        y_QHK = y_QX.unflatten(-1, (self.heads, -1)).double()
        weight_DHK = self.out.weight.unflatten(-1, (self.heads, -1)).double()
        written_HQD = torch.einsum("qhk,dhk->hqd", y_QHK, weight_DHK)
        self.count += len(y_QX)
        self.sum_HD = self.sum_HD + written_HQD.sum(1)
        self.products_HDD = self.products_HDD + written_HQD.mT @ written_HQD

    def cosines(self) -> Tensor:
        """(H, H): cosines of the heads' covariance matrices, taken as vectors."""
        mean_HD = self.sum_HD / self.count
        flat_HX = (self.products_HDD / self.count - mean_HD[:, :, None] * mean_HD[:, None]).flatten(1)
        flat_HX = flat_HX / flat_HX.norm(dim=1, keepdim=True).clamp(min=1e-30)
        return flat_HX @ flat_HX.mT


class Apart(Attention):
    """Heads that differ as much as heads can: head h sees the token at place h alone, and writes into units of its own.

    Where a causal query comes before that token, it sees itself.
    """

    def __init__(self, mixer: Any) -> None:
        super().__init__(mixer.width, heads=mixer.heads, head_width=mixer.head_width, causal=mixer.causal)
        self.qkv = mixer.qkv
        self.out.to(mixer.out.weight).weight.copy_(torch.eye(mixer.width, mixer.heads * mixer.head_width))

    def weights(self, q_BHNK: Tensor, k_BHMK: Tensor, *masks: Any, start: int = 0) -> Tensor:
        (_, H, N, _), M = q_BHNK.shape, k_BHMK.shape[2]
        head_H1, place_N = torch.arange(H, device=q_BHNK.device)[:, None], torch.arange(N, device=q_BHNK.device)
        key_HN = torch.minimum(head_H1, place_N if self.causal else torch.full_like(place_N, M - 1))
        return F.one_hot(key_HN, M).to(q_BHNK).expand(len(q_BHNK), -1, -1, -1)

    def attend(self, q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor, mask_BN: Tensor | None) -> Tensor:
        return self._mean(self.weights(q_BHNK, k_BHNK), v_BHNK)


def built(model: nn.Module) -> nn.Module:
    """The model with other heads: those of ``Apart``."""
    made: Any = copy.deepcopy(model)
    for block in made.blocks:
        block.mixer = Apart(block.mixer)
    return made


def copies(model: nn.Module) -> nn.Module:
    """The model with the first head of each layer in the place of all its heads."""
    made: Any = copy.deepcopy(model)
    for mixer in made.mixers:
        for weight, axis in ((mixer.qkv.weight, 0), (mixer.out.weight, 1)):
            heads = weight.unflatten(axis, (-1, mixer.heads, mixer.head_width))  # of queries, keys and values; of the output
            heads.copy_(heads.narrow(axis + 1, 0, 1).clone().expand_as(heads))
    return made


def _needed(subject: Subject) -> float | None:
    model: Any = subject.model
    heads = [(mixer, head) for mixer in model.mixers for head in range(mixer.heads)]
    items = whole = 0
    without = [0] * len(heads)
    for batch in batches(subject, "test"):
        items += int((batch.targets_BT != IGNORE).sum())
        whole += right(model, batch)
        for number, (mixer, head) in enumerate(heads):
            with ablated(mixer, head):
                without[number] += right(model, batch)
    return _mean([float((whole - found) / items > NEEDED) for found in without])


def _others(square_HH: Tensor) -> list[float]:
    """What stands outside the diagonal."""
    return square_HH[~torch.eye(len(square_HH), dtype=torch.bool, device=square_HH.device)].tolist()


def _mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
