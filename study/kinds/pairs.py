"""Tasks that answer one sequence with another."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch

from study import files, parts
from study.cost.counting import multiply_adds, sketched
from study.kinds.base import WIDE, Judged, Kind, Maps, part
from study.models.seq2seq.base import EncoderDecoder
from study.models.seq2seq.transformer import Transformer
from study.models.sizing import solve_width
from study.probes.base import Subject
from study.probes.decoding import decode_all
from study.tasks.pairs import PairTask
from study.tokens import END, PAD

VOCABULARY = "vocabulary"  # beside the weights: all that translating needs


class Pairs(Kind):
    """Answered by encoder-decoders."""

    task: PairTask

    def build(self) -> EncoderDecoder:
        """Its hidden width gives it as many parameters outside of embeddings as a Transformer of ``model.ffn_width`` has."""
        task, model = self.task, self.config.model
        architecture, keys = part(self.config, "architecture")
        if model.tie == "three_way" and not task.joint:
            raise ValueError(
                f"model.tie=three_way needs one vocabulary for source and target, and {parts.choice(type(task))} has two here; "
                "use model.tie=output, or a task with joint=true"
            )
        if model.match == "nothing":
            return self._sized(model.ffn_width, architecture, **keys)
        if model.match != "parameters":
            raise ValueError(f"model.match={model.match} is for architecture=encoder; use parameters or nothing")
        with sketched():
            hidden = solve_width(
                lambda hidden: self._sized(hidden, architecture, **keys).parameter_counts()["other"],
                self._sized(model.ffn_width, Transformer).parameter_counts()["other"],
                key="hidden",
                what="parameters beside the embeddings",
            )
        return self._sized(hidden, architecture, **keys)

    def _sized(self, hidden: int, architecture: Any, **keys: Any) -> EncoderDecoder:
        task, model = self.task, self.config.model
        mixer, mixer_keys = part(self.config, "mixer")
        position, position_keys = part(self.config, "position")
        offered = {
            "mixer": lambda causal, layer: mixer(model.width, causal=causal, layer=layer, **mixer_keys),
            "position": lambda length: position(model.width, length=length, **position_keys),
        }
        asked = inspect.signature(architecture).parameters
        return architecture(
            task.vocabulary,
            task.classes,
            width=model.width,
            layers=model.layers,
            hidden=hidden,
            dropout=model.dropout,
            tie=model.tie,
            smoothing=self.config.train.label_smoothing,
            source_length=task.source_length,
            target_length=task.target_length,
            **{key: value for key, value in offered.items() if key in asked},
            **keys,
        )

    def work(self, model: EncoderDecoder) -> dict[str, Any]:
        pair = pair_work(model, self.task.mean_source, self.task.length)
        return {
            "multiply_adds_per_token": pair / self.task.length,
            "multiply_adds_per_answer": pair,
            "hidden": model.hidden,
            "decoded": list(self.task.decoded),
        }

    def check(self, model: EncoderDecoder) -> None:
        super().check(model)
        reach = max(self.config.architecture.get(key, 0) for key in WIDE)
        lengths = [self.task.longest_source, self.task.longest_target]
        self.refuse_idle_reach("architecture", reach, lengths, instead="luong_general")

    def judge(self, subject: Subject, task: PairTask, split: str) -> Judged:
        return Judged(*decode_all(subject, task, split))

    def maps(self, subject: Subject) -> Maps:
        """The target over its source."""
        batch = subject.draw_for_evaluation(self.task, "test", 0)
        source_1M, target_1T = batch.source_BM[:1], batch.target_BT[:1]
        weights_1TM = subject.model.align(source_1M, target_1T)
        if weights_1TM is None:
            return Maps()
        source, target = ([token for token in row_1N[0].tolist() if token != PAD] for row_1N in (source_1M, target_1T))
        rows, columns = self.task.target_names(target), self.task.source_names(source)
        return Maps([weights_1TM[:, : len(rows), : len(columns)].float().cpu().numpy()], rows, columns)

    def keep(self, folder: Path) -> None:
        with files.replacing(folder / VOCABULARY) as temporary:
            temporary.mkdir()
            self.task.keep(temporary)


def pair_work(model: EncoderDecoder, source: float, target: int) -> float:
    """Multiply-adds of one pair; ``source`` is a mean, which may lie between whole numbers of tokens.

    As they are a polynomial of degree 2 in the length of the source, three counts tell all others.
    """
    device = model.head.weight.device
    one, two, three = (
        multiply_adds(model, *(torch.full((1, length), END, device=device) for length in (tokens, target)))
        for tokens in (1, 2, 3)
    )
    return one + (source - 1) * (two - one) + (source - 1) * (source - 2) / 2 * (three - 2 * two + one)
