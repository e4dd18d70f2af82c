"""Whether a head of a model finds a task's gold edges, and what is lost without them.

A gold edge leads from a scored place (the query) to the one position that holds its answer (the key).

Shapes: B sequences, N tokens, T scored places, E gold edges, L layers, H heads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from study import parts
from study.mixers.base import Mixer
from study.models.encoder import SequenceModel
from study.probes.base import Subject, batches, real, right
from study.seeding import stream
from study.tasks.base import IGNORE, Batch, Task

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
    in any head of any layer (one edge a sequence).
    """
    training = subject.training
    subject.eval()
    head, offset = _choose(subject)
    found = {**_gold(subject, head, offset), **_cuts(subject), "example": _example(subject, head)}
    subject.train(training)
    return {"head": list(head), "offset": offset, **found}


def gold_edges(batch: Batch) -> Edges:
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


def _found(maps: list[Tensor], edges: Edges) -> Tensor:
    """(L, H): on how many edges each head's largest weight lies."""
    rows = [maps_BHNN[edges.sequence_E, :, edges.query_E] for maps_BHNN in maps]
    return torch.stack([(rows_EHN.argmax(-1) == edges.key_E[:, None]).sum(0) for rows_EHN in rows])


def _choose(subject: Subject) -> tuple[tuple[int, int], int]:
    """The (layer, head) that finds most gold edges, and the commonest offset (key - query)."""
    hits_LH, offsets_R = torch.zeros((), device=subject.device), torch.zeros((), device=subject.device)
    for batch in batches(subject, "validation"):
        N, edges = batch.tokens_BN.shape[1], gold_edges(batch)
        hits_LH = hits_LH + _found(subject.model.maps(batch.tokens_BN, batch.mask_BN), edges)
        offsets_R = offsets_R + torch.bincount(edges.key_E - edges.query_E + N - 1, minlength=2 * N - 1)
    layer, head = divmod(int(hits_LH.argmax()), hits_LH.shape[1])
    return (layer, head), int(offsets_R.argmax()) - (len(offsets_R) // 2)


def _gold(subject: Subject, head: tuple[int, int], offset: int) -> dict[str, Any]:
    total = gold = at_offset = 0
    for batch in batches(subject, "test"):
        edges = gold_edges(batch)
        total += len(edges.query_E)
        gold += int(_found(subject.model.maps(batch.tokens_BN, batch.mask_BN), edges)[head])
        at_offset += int((edges.key_E - edges.query_E == offset).sum())
    return {"edges": total, "gold": gold / total, "gold_offset": at_offset / total}


def _cuts(subject: Subject) -> dict[str, Any]:
    model: Any = subject.model
    generator = torch.Generator(subject.device).manual_seed(stream(subject.config.seed, "test", "structure"))
    sequences = whole = 0
    without = {"cut_gold": 0, "cut_random": 0}
    for batch in batches(subject, "test"):
        one, gold_BNN, random_BNN = one_edge(batch, real(batch), model.mixers[0].allowed, generator)
        sequences += len(one.tokens_BN)
        whole += right(model, one)
        for name, cut_BNN in zip(without, (gold_BNN, random_BNN), strict=True):
            with cut(model, cut_BNN):
                without[name] += right(model, one)
    return {"sequences": sequences, **{name: (whole - found) / sequences for name, found in without.items()}}


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
