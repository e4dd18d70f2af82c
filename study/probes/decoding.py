"""What a trained encoder-decoder writes: scored against references, its attention against the true alignment.

Shapes: B pairs, M source tokens, T target tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from study.models.seq2seq.base import EncoderDecoder
from study.models.seq2seq.search import search
from study.probes.base import Subject
from study.tasks.base import IGNORE
from study.tasks.pairs import PairBatch, PairTask, without_end
from study.tokens import END, PAD

LONGER = 1.25  # outputs may be so much longer than the longest reference
SAMPLES = 3  # outputs kept in the record, with what they attended to
DIGITS = 3  # of the kept attention weights

Slices = dict[str, dict[str, Any]]


def decode_all(subject: Subject, task: PairTask, split: str) -> tuple[dict[str, Any], Slices, dict[str, Any]]:
    """Write an answer to every source of an evaluation: (scores, scores per slice, what the record keeps of the outputs).

    The outputs come from the search that the config names. A negative control, ``shuffled``, is kept beside them: the right
    answer to another source, scored in their place. ``alignment``, where the task knows which source token each target comes
    from and the model attends: the share of target tokens whose largest weight lies there while the reference is written.
    """
    config, model = subject.config, subject.model
    outputs: list[list[int]] = []
    batches: list[PairBatch] = []
    samples: list[dict[str, Any]] = []
    hits = places = 0
    model.eval()
    with torch.no_grad():
        for index in range(subject.batches(task, config.evaluation.test_items, split)):
            batch = subject.draw_for_evaluation(task, split, index)
            searched = search(
                model,
                batch.source_BM,
                beam=config.search.beam,
                length_penalty=config.search.length_penalty,
                longest=longest(task, model),
            )
            outputs += [hypotheses[0].tokens for hypotheses in searched]
            batches.append(batch)
            if batch.sources_BT is not None and (weights_BTM := model.align(**batch.inputs())) is not None:
                hit, of = aligned(weights_BTM, batch.sources_BT)
                hits, places = hits + hit, places + of
            for row in range(min(SAMPLES - len(samples), len(searched))):
                samples.append(sample(task, batch.source_BM[row], batch.target_BT[row], searched[row][0]))
    scores, slices = task.judge(outputs, batches)
    answers = [without_end(row) for batch in batches for row in batch.target_BT.tolist()]
    shuffled, _ = task.judge([*answers[1:], answers[0]], batches)
    statistics = scores.pop("statistics", None)
    if places:
        scores["alignment"] = hits / places
    kept = {"samples": samples, "shuffled": {name: shuffled[name] for name in task.decoded}}
    return scores, slices, kept if statistics is None else {**kept, "statistics": statistics}


def longest(task: PairTask, model: EncoderDecoder) -> int:
    """How many tokens an output may have: no more than the model has positions for."""
    longer = round(LONGER * task.longest_target)
    return min(longer, model.longest_target or longer)


def aligned(weights_BTM: Tensor, sources_BT: Tensor) -> tuple[int, int]:
    """(target tokens with their largest weight on the source token they come from, target tokens that come from one)."""
    known_BT = sources_BT != IGNORE
    return int((known_BT & (weights_BTM.argmax(-1) == sources_BT)).sum()), int(known_BT.sum())


def sample(task: PairTask, source_M: Tensor, target_T: Tensor, hypothesis: Any) -> dict[str, Any]:
    """One output as an example: tokens by name, and the weights (T, M) where there are any."""
    source, reference = ([token for token in row.tolist() if token != PAD] for row in (source_M, target_T))
    weights = hypothesis.weights_TM
    return {
        "source": task.source_names(source),
        "reference": task.write([token for token in reference if token != END]),
        "output": task.target_names(hypothesis.tokens),
        "weights": None if weights is None else [[round(w, DIGITS) for w in row[: len(source)]] for row in weights.tolist()],
    }
