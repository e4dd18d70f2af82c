"""Greedy and beam search, the same for every encoder-decoder.

Shapes: B sources, K hypotheses of each (rows B K: those of a source stand together), M source tokens, T tokens written,
V target tokens.
"""

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from study.models.seq2seq.base import EncoderDecoder, real
from study.tokens import END, PAD, START


class Hypothesis(NamedTuple):
    tokens: list[int]  # without END
    score: float  # log p of the tokens, END included, in nats
    finished: bool  # whether END was written; if not, it was cut off
    weights_TM: Tensor | None  # attention of each token over the real source; None where the model has none


class Written(NamedTuple):
    """One step of all hypotheses, best first in each source."""

    tokens_BK: Tensor
    parents_BK: Tensor  # which hypothesis of the step before each goes on from
    scores_BK: Tensor  # -inf: there is none
    weights_BKM: Tensor | None  # by parent


def penalty(length: int, alpha: float) -> float:
    """What a score is divided by, ((5 + length) / 6)^alpha (Wu et al. 2016, equation 14); END counts as a token."""
    return ((5 + length) / 6) ** alpha


@torch.no_grad()
def search(
    model: EncoderDecoder, source_BM: Tensor, *, beam: int = 1, length_penalty: float = 0.0, longest: int
) -> list[list[Hypothesis]]:
    """For each source its hypotheses, best first; `model` should be in eval mode.

    At each step the `beam` best continuations of a source's hypotheses go on. One that has ended keeps its place in the beam
    (Sutskever et al. 2014, section 3.2), so beam 1 is greedy. A source is done once no hypothesis can overtake the best one
    that ended: none is left, or their penalised scores would not be higher even if every further token up to `longest` had
    probability 1. Of equals, the better parent's child goes on, then the lower token; of equal answers the one with lower
    tokens comes first. PAD and START are never written.

    Args:
        beam: K, >= 1.
        length_penalty: alpha of `penalty`, >= 0; 0: the score as it is.
        longest: how many tokens may be written, END included, >= 1. Hypotheses that have not ended by then are given only
            for sources where none has.
    """
    for name, value, least in (("beam", beam, 1), ("length_penalty", length_penalty, 0), ("longest", longest, 1)):
        if value < least:
            raise ValueError(f"{name} is {value}; it must be at least {least}")
    B, K = len(source_BM), beam
    first_B1 = torch.arange(B, device=source_BM.device)[:, None] * K
    memory = model.encode(source_BM)
    state = model.start(memory)
    if K > 1:
        memory, state = (_rows(tree, first_B1.expand(B, K).flatten() // K) for tree in (memory, state))
    previous_X = source_BM.new_full((B * K,), START)
    scores_BK = torch.full((B, K), float("-inf"), device=source_BM.device)
    scores_BK[:, 0] = 0  # all are the same as yet
    room_B1 = source_BM.new_full((B, 1), K)  # places of hypotheses that have not ended
    ended_B = scores_BK.new_full((B,), float("-inf"))  # the best penalised score of those that have
    never = source_BM.new_tensor([PAD, START])
    rank_K = torch.arange(K, device=source_BM.device)
    steps = []
    for length in range(1, longest + 1):
        logits_XV, state, weights_XM = model.step(previous_X, memory, state)
        log_p_XV = logits_XV.float().log_softmax(-1).index_fill_(1, never, float("-inf"))
        scores_BK, choice_BK = _best(scores_BK[..., None] + log_p_XV.view(B, K, -1))
        scores_BK = scores_BK.masked_fill(rank_K >= room_B1, float("-inf"))
        parents_BK, tokens_BK = choice_BK // logits_XV.shape[1], choice_BK % logits_XV.shape[1]
        steps.append(Written(tokens_BK, parents_BK, scores_BK, None if weights_XM is None else weights_XM.view(B, K, -1)))
        ends_BK = (tokens_BK == END) & scores_BK.isfinite()
        room_B1 = room_B1 - ends_BK.sum(1, keepdim=True)
        just_ended_B = scores_BK.masked_fill(~ends_BK, float("-inf")).amax(1) / penalty(length, length_penalty)
        ended_B = torch.maximum(ended_B, just_ended_B)
        scores_BK = scores_BK.masked_fill(ends_BK, float("-inf"))
        hopeless_B = scores_BK.amax(1) / penalty(longest, length_penalty) <= ended_B
        scores_BK = scores_BK.masked_fill(hopeless_B[:, None], float("-inf"))
        if hopeless_B.all():
            break
        previous_X = tokens_BK.flatten()
        if K > 1:
            state = _rows(state, (first_B1 + parents_BK).flatten())
    return _collect(steps, real(source_BM).sum(1).tolist(), length_penalty)


def _rows(tree: Any, rows: Tensor) -> Any:
    return tree_map_only(Tensor, partial(torch.index_select, dim=0, index=rows), tree)


def _best(scores_BKV: Tensor) -> tuple[Tensor, Tensor]:
    """The K highest scores of each source, in order, and where they stand in (K, V); the first of equals comes first.

    Takes one maximum after the other (and overwrites the scores), since topk does not define the order of equals.
    """
    left_BX = scores_BKV.flatten(1)
    best = []
    for _ in range(scores_BKV.shape[1]):
        best.append(left_BX.max(1, keepdim=True))
        left_BX.scatter_(1, best[-1].indices, float("-inf"))
    return torch.cat([each.values for each in best], 1), torch.cat([each.indices for each in best], 1)


def _collect(steps: list[Written], source_lengths: list[int], length_penalty: float) -> list[list[Hypothesis]]:
    """Follow every hypothesis back from its end; all comes to the host at once."""
    tokens, parents, scores = (torch.stack(each).tolist() for each in list(zip(*steps, strict=True))[:3])
    kept = [step.weights_BKM for step in steps if step.weights_BKM is not None]
    weights_TBKM = torch.stack(kept).cpu() if kept else None

    def follow(t: int, b: int, k: int) -> Hypothesis:
        score, finished = scores[t][b][k], tokens[t][b][k] == END
        written, rows = [], []
        for step in range(t, -1, -1):
            written.append(tokens[step][b][k])
            k = parents[step][b][k]
            rows.append(k)
        T = t if finished else t + 1
        rows_T = torch.tensor(rows[::-1][:T], dtype=torch.long)
        weights_TM = None if weights_TBKM is None else weights_TBKM[torch.arange(T), b, rows_T, : source_lengths[b]]
        return Hypothesis(written[::-1][:T], score, finished, weights_TM)

    def order(hypothesis: Hypothesis) -> tuple[float, list[int]]:
        length = len(hypothesis.tokens) + hypothesis.finished
        return -hypothesis.score / penalty(length, length_penalty), hypothesis.tokens

    K, last, collected = len(tokens[0][0]), len(steps) - 1, []
    for b in range(len(source_lengths)):
        there = [(t, b, k) for t in range(len(steps)) for k in range(K) if scores[t][b][k] != float("-inf")]
        ends = [(t, b, k) for t, b, k in there if tokens[t][b][k] == END]
        cut_off = [(t, b, k) for t, b, k in there if t == last]
        collected.append(sorted((follow(*each) for each in ends or cut_off), key=order))
    return collected
