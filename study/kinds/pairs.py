"""Tasks that answer one sequence with another."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from study import files, parts
from study.kinds.base import WIDE, Judged, Kind, part, sketched
from study.models.seq2seq.base import EncoderDecoder
from study.models.seq2seq.sizing import solve_hidden
from study.models.seq2seq.transformer import Transformer
from study.probes.base import Subject
from study.probes.decoding import decode_all
from study.tasks.pairs import PairTask

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
            full = self._sized(model.ffn_width, Transformer).parameter_counts()["other"]
        hidden = solve_hidden(lambda hidden: self._sized(hidden, architecture, **keys), full)
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
        pair = model.multiply_adds(self.task.mean_source, self.task.length)
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

    def maps(self, subject: Subject) -> list[Any]:
        """The target (rows) over its source."""
        batch = subject.draw_for_evaluation(self.task, "test", 0)
        weights_BTM = subject.model.align(batch.source_BM[:1], batch.target_BT[:1])
        return [] if weights_BTM is None else [weights_BTM]

    def keep(self, folder: Path) -> None:
        with files.replacing(folder / VOCABULARY) as temporary:
            temporary.mkdir()
            self.task.keep(temporary)
