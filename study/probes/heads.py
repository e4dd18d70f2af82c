"""What the heads of a model do: whether one finds a task's gold edges, what is lost without them, how heads differ.

A gold edge leads from a scored place (the query) to the one position that holds its answer (the key).

Shapes: B sequences, N tokens, T scored places, E gold edges, L layers, H heads, D width, M real tokens of a batch.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from study import parts
from study.mixers.base import Mixer
from study.models.encoder import SequenceModel
from study.probes.base import Subject
from study.seeding import stream
from study.tasks.base import IGNORE, Batch, Task

SEQUENCES = {"validation": 512, "test": 1024}  # one edge of each of the latter is cut
BATCH = 128
NEEDED = 0.02  # a head is needed when accuracy falls by more without it: the study's margin of accuracy
APART = 0.25  # bits between two heads' maps from which they count as attending to different parts; at most 1
SHOWN = 24  # the longest sequence whose map is kept for a picture


class Edges(NamedTuple):
    sequence_E: Tensor
    query_E: Tensor
    key_E: Tensor


def check(task: Task, mixer: type[Mixer]) -> None:
    """Raises ``ValueError`` where a task has no gold edges or a mixer no edges to cut."""
    if task.batch(1, torch.Generator("cpu").manual_seed(0)).sources_BT is None:
        name = parts.choice(type(task))
        raise ValueError(f"evaluation.structure needs gold edges, and {name} has none; use task=reverse, brackets or agreement")
    if "cut_BNN" not in inspect.signature(mixer.maps).parameters:
        raise ValueError(f"evaluation.structure needs edges to cut, and {parts.choice(mixer)} has none; use mixer=attention")


@torch.no_grad()
def examine(subject: Subject) -> dict[str, Any]:
    """Of the model as it is; what is chosen is chosen on validation batches, what is reported comes from test batches.

    gold: share of the gold edges on which the best head puts its largest weight; gold_offset: that of the best fixed
    distance. cut_gold, cut_random: accuracy lost when a query may not see its gold key, or another key drawn at random,
    in any head of any layer (one edge a sequence). heads_needed: share of heads whose output can't be zeroed without a
    loss of accuracy above NEEDED (Michel et al. 2019). map_distance: mean Jensen-Shannon divergence, in bits (0 to 1), of
    two heads of a layer; heads_apart: share of heads with no other within APART. overlap: cosine of the covariances of
    what two heads of a layer write (0: in orthogonal subspaces, 1: in the same way). Null where a layer has one head.
    """
    training = subject.training
    subject.eval()
    head, offset = _choose(subject)
    found = {**_gold(subject, head, offset), **_cuts(subject), **_heads(subject), "example": _example(subject, head)}
    subject.train(training)
    return {"head": list(head), "offset": offset, **found}


def gold_edges(batch: Batch) -> Edges:
    """All gold edges of a batch."""
    assert batch.sources_BT is not None
    sequence_E, t_E = (batch.targets_BT != IGNORE).nonzero(as_tuple=True)
    query_E = t_E if batch.where_BT is None else batch.where_BT[sequence_E, t_E]
    return Edges(sequence_E, query_E, batch.sources_BT[sequence_E, t_E])


@contextmanager
def cut(model: SequenceModel, cut_BNN: Tensor) -> Iterator[None]:
    """In this context no head of any layer sees the edges (query, key) at which ``cut_BNN`` is True."""

    def without(mixer: Any, args: tuple[Tensor, Tensor | None], _: Tensor) -> Tensor:
        return mixer.reweighted(args[0], mixer.maps(*args, cut_BNN=cut_BNN))

    handles = [mixer.register_forward_hook(without) for mixer in model.mixers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


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


def divergences(maps_BHNN: Tensor, real_BN: Tensor) -> Tensor:
    """(H, H): Jensen-Shannon divergence of heads in bits, summed over the queries at real tokens."""
    rows_MHN = maps_BHNN.transpose(1, 2)[real_BN]
    entropy_MH = _bits(rows_MHN)
    middle_MHHN = (rows_MHN[:, :, None] + rows_MHN[:, None]) / 2
    return (_bits(middle_MHHN) - (entropy_MH[:, :, None] + entropy_MH[:, None]) / 2).sum(0)


def _bits(shares: Tensor) -> Tensor:
    return torch.special.entr(shares).sum(-1) / math.log(2)


def _batches(subject: Subject, split: str) -> Iterator[Batch]:
    for index in range(SEQUENCES[split] // BATCH):
        yield subject.draw(subject.task, split, index, BATCH)


def _found(maps: list[Tensor], edges: Edges) -> Tensor:
    """(L, H): on how many edges each head's largest weight lies."""
    rows = [maps_BHNN[edges.sequence_E, :, edges.query_E] for maps_BHNN in maps]
    return torch.stack([(rows_EHN.argmax(-1) == edges.key_E[:, None]).sum(0) for rows_EHN in rows])


def _choose(subject: Subject) -> tuple[tuple[int, int], int]:
    """The (layer, head) that finds most gold edges, and the commonest offset (key - query)."""
    hits_LH, offsets_R = torch.zeros((), device=subject.device), torch.zeros((), device=subject.device)
    for batch in _batches(subject, "validation"):
        N, edges = batch.tokens_BN.shape[1], gold_edges(batch)
        hits_LH = hits_LH + _found(subject.model.maps(batch.tokens_BN, batch.mask_BN), edges)
        offsets_R = offsets_R + torch.bincount(edges.key_E - edges.query_E + N - 1, minlength=2 * N - 1)
    layer, head = divmod(int(hits_LH.argmax()), hits_LH.shape[1])
    return (layer, head), int(offsets_R.argmax()) - (len(offsets_R) // 2)


def _gold(subject: Subject, head: tuple[int, int], offset: int) -> dict[str, Any]:
    total = gold = at_offset = 0
    for batch in _batches(subject, "test"):
        edges = gold_edges(batch)
        total += len(edges.query_E)
        gold += int(_found(subject.model.maps(batch.tokens_BN, batch.mask_BN), edges)[head])
        at_offset += int((edges.key_E - edges.query_E == offset).sum())
    return {"edges": total, "gold": gold / total, "gold_offset": at_offset / total}


def _cuts(subject: Subject) -> dict[str, Any]:
    model: Any = subject.model
    generator = torch.Generator(subject.device).manual_seed(stream(subject.config.seed, "test", "structure"))
    sequences = whole = 0
    right = {"cut_gold": 0, "cut_random": 0}
    for batch in _batches(subject, "test"):
        one, gold_BNN, random_BNN = one_edge(batch, _real(batch), model.mixers[0].allowed, generator)
        sequences += len(one.tokens_BN)
        whole += _right(model, one)
        for name, cut_BNN in zip(right, (gold_BNN, random_BNN), strict=True):
            with cut(model, cut_BNN):
                right[name] += _right(model, one)
    return {"sequences": sequences, **{name: (whole - found) / sequences for name, found in right.items()}}


def _heads(subject: Subject) -> dict[str, Any]:
    model = subject.model
    mixers: list[Any] = list(model.mixers)
    items = tokens = whole = 0
    without = {(layer, head): 0 for layer, mixer in enumerate(mixers) for head in range(mixer.heads)}
    apart_LHH: list[Any] = [0] * len(mixers)
    written = [Written(mixer.out, mixer.heads) for mixer in mixers]
    for batch in _batches(subject, "test"):
        real_BN = _real(batch)
        items += int((batch.targets_BT != IGNORE).sum())
        tokens += int(real_BN.sum())
        with ExitStack() as watching:
            for found in written:
                watching.enter_context(found.watching(real_BN))
            whole += _right(model, batch)
        for layer, head in without:
            with ablated(mixers[layer], head):
                without[layer, head] += _right(model, batch)
        maps = model.maps(batch.tokens_BN, batch.mask_BN)
        apart_LHH = [total + divergences(maps_BHNN, real_BN) for total, maps_BHNN in zip(apart_LHH, maps, strict=True)]
    others = [_others(total_HH / tokens) for total_HH in apart_LHH]  # (H, H - 1) of each layer
    nearest = [bits for others_HO in others if others_HO.numel() for bits in others_HO.min(1).values.tolist()]
    return {
        "heads_needed": _mean([float((whole - right) / items > NEEDED) for right in without.values()]),
        "heads_apart": _mean([float(bits >= APART) for bits in nearest]),
        "map_distance": _mean([bits for others_HO in others for bits in others_HO.flatten().tolist()]),
        "overlap": _mean([cosine for found in written for cosine in _others(found.cosines()).flatten().tolist()]),
    }


def one_edge(
    batch: Batch, real_BN: Tensor, allowed: Callable[[int, torch.device], Tensor | None], generator: torch.Generator
) -> tuple[Batch, Tensor, Tensor]:
    """One scored place of each sequence, drawn at random; its gold edge, and one to another key that its query may see.

    Sequences whose query sees nothing but its gold key are left out. The edges are (B, N, N), True at the one.
    """
    assert batch.sources_BT is not None
    N, device = batch.tokens_BN.shape[1], batch.tokens_BN.device
    scored_BT = batch.targets_BT != IGNORE
    where_BT = torch.arange(N, device=device).expand_as(scored_BT) if batch.where_BT is None else batch.where_BT
    draw_BT = torch.rand(scored_BT.shape, generator=generator, device=device)
    t_B1 = draw_BT.masked_fill(~scored_BT, -1).argmax(1, keepdim=True)
    query_B1, key_B1 = where_BT.gather(1, t_B1), batch.sources_BT.gather(1, t_B1)
    seen_NN = allowed(N, device)
    others_BN = real_BN if seen_NN is None else real_BN & seen_NN[query_B1[:, 0]]
    others_BN = others_BN.scatter(1, key_B1, False)
    draw_BN = torch.rand(others_BN.shape, generator=generator, device=device)
    other_B1 = draw_BN.masked_fill(~others_BN, -1).argmax(1, keepdim=True)
    kept_B = others_BN.any(1) & scored_BT.any(1)
    mask_BN = None if batch.mask_BN is None else batch.mask_BN[kept_B]
    one = Batch(batch.tokens_BN[kept_B], batch.targets_BT.gather(1, t_B1)[kept_B], query_B1[kept_B], mask_BN)

    def edge_BNN(to_B1: Tensor) -> Tensor:
        at_BNN = torch.zeros(len(query_B1), N, N, dtype=torch.bool, device=device)
        at_BNN[torch.arange(len(query_B1), device=device), query_B1[:, 0], to_B1[:, 0]] = True
        return at_BNN[kept_B]

    return one, edge_BNN(key_B1), edge_BNN(other_B1)


class Written:
    """What each head of a layer writes into the residual stream: covariances, of the tokens of watched passes."""

    def __init__(self, out: torch.nn.Linear, heads: int) -> None:
        self.out, self.heads = out, heads
        self.count = 0
        self.sum_HD: Any = 0
        self.products_HDD: Any = 0

    @contextmanager
    def watching(self, real_BN: Tensor) -> Iterator[None]:
        handle = self.out.register_forward_pre_hook(lambda _, args: self.add(args[0][real_BN]))
        try:
            yield
        finally:
            handle.remove()

    def add(self, y_MX: Tensor) -> None:
        """``y_MX``: the heads' outputs side by side."""
        y_MHK = y_MX.unflatten(-1, (self.heads, -1)).double()
        weight_DHK = self.out.weight.unflatten(-1, (self.heads, -1)).double()
        written_HMD = torch.einsum("mhk,dhk->hmd", y_MHK, weight_DHK)
        self.count += len(y_MX)
        self.sum_HD = self.sum_HD + written_HMD.sum(1)
        self.products_HDD = self.products_HDD + written_HMD.mT @ written_HMD

    def cosines(self) -> Tensor:
        """(H, H): cosines of the heads' covariance matrices, taken as vectors."""
        mean_HD = self.sum_HD / self.count
        flat_HX = (self.products_HDD / self.count - mean_HD[:, :, None] * mean_HD[:, None]).flatten(1)
        flat_HX = flat_HX / flat_HX.norm(dim=1, keepdim=True).clamp(min=1e-30)
        return flat_HX @ flat_HX.mT


def _others(square_HH: Tensor) -> Tensor:
    """(H, H - 1): without the diagonal."""
    H = len(square_HH)
    return square_HH[~torch.eye(H, dtype=torch.bool, device=square_HH.device)].view(H, H - 1)


def _real(batch: Batch) -> Tensor:
    return torch.ones_like(batch.tokens_BN, dtype=torch.bool) if batch.mask_BN is None else batch.mask_BN


def _right(model: SequenceModel, batch: Batch) -> int:
    guesses_BT = model(batch.tokens_BN, batch.where_BT, batch.mask_BN).argmax(-1)
    return int((guesses_BT == batch.targets_BT).sum())


def _mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _example(subject: Subject, head: tuple[int, int]) -> dict[str, Any] | None:
    """The chosen head's map of the first test sequence, in whole hundredths, and its gold edges; None where it is long."""
    batch = subject.draw(subject.task, "test", 0, 1)
    N = batch.tokens_BN.shape[1] if batch.mask_BN is None else int(batch.mask_BN.sum())
    if N > SHOWN:
        return None
    layer, index = head
    map_NN = subject.model.maps(batch.tokens_BN, batch.mask_BN)[layer][0, index, :N, :N]
    edges = gold_edges(batch)
    return {
        "tokens": batch.tokens_BN[0, :N].tolist(),
        "map": (100 * map_NN).round().int().tolist(),
        "edges": torch.stack([edges.query_E, edges.key_E], 1).tolist(),
    }
