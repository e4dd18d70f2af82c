"""Tasks that answer at places of a sequence of tokens."""

from __future__ import annotations

import functools
from typing import Any

from omegaconf import DictConfig

from study.cost.decoding import decode
from study.cost.measure import measure
from study.kinds.base import Kind, part, sketched
from study.mixers.base import Mixer
from study.models.encoder import SequenceModel
from study.models.sizing import multiply_adds, solve_ffn_width, untied_ffn_width
from study.probes import heads
from study.probes.base import Subject
from study.probes.diagnostics import diagnose
from study.tasks.base import Task


class Tokens(Kind):
    """Answered by ``SequenceModel``, of any mixer, position and readout."""

    task: Task
    costs = ("lengths", "widths", "positions")

    def __init__(self, config: DictConfig, task: Task):
        super().__init__(config, task)
        self.mixer, self.mixer_keys = part(config, "mixer")
        self.position, self.position_keys = part(config, "position")
        self.readout, self.readout_keys = part(config, "readout")

    def build(self) -> SequenceModel:
        task, model = self.task, self.config.model
        asked = self.mixer.takes(length=task.length)
        return SequenceModel(
            task.vocabulary,
            task.classes,
            width=model.width,
            layers=model.layers,
            ffn_width=self.ffn_width(),
            causal=task.causal,
            mixer=lambda layer: self.mixer(model.width, causal=task.causal, layer=layer, **asked, **self.mixer_keys),
            position=self.position(model.width, length=task.length, **self.position_keys),
            readout=functools.partial(self.readout, **self.readout_keys),
            dropout=model.dropout,
            arrangement=model.arrangement,
            tie=model.tie,
        )

    def ffn_width(self) -> int:
        task, model = self.task, self.config.model
        solved = solve_ffn_width(
            "parameters" if model.match == "tied" else model.match,
            width=model.width,
            ffn_width=model.ffn_width,
            length=task.length,
            causal=task.causal,
            mixer=self.mixer,
            settings=self.mixer_keys,
            share=self.readout.parameter_count(model.width, **self.readout_keys) / model.layers,
        )
        if model.match != "tied":
            return solved
        return untied_ffn_width(width=model.width, layers=model.layers, ffn_width=solved, vocabulary=task.vocabulary)

    def layer(self, width: int, layer: int) -> Mixer:
        """One mixer by itself, as its cost is measured."""
        asked = self.mixer.takes(length=max(self.config.cost.lengths, default=0))
        return self.mixer(width, causal=self.task.causal, layer=layer, **asked, **self.mixer_keys)

    def work(self, model: SequenceModel) -> dict[str, Any]:
        task, width, hidden = self.task, self.config.model.width, self.ffn_width()
        work = multiply_adds(
            width=width,
            layers=self.config.model.layers,
            ffn_width=hidden,
            length=task.length,
            causal=task.causal,
            mixer=self.mixer,
            settings=self.mixer_keys,
        )
        return {
            "ffn_width": hidden,
            "multiply_adds_per_token": work + model.inside_multiply_adds,
            "multiply_adds_per_answer": self.readout.multiply_adds(width, task.length, task.classes, **self.readout_keys),
            "reach": model.reach,
        }

    def check(self, model: SequenceModel) -> None:
        super().check(model)
        task, cost = self.task, self.config.cost
        if self.config.evaluation.structure:
            heads.check(task, self.mixer)
        if cost.positions and not task.causal:
            raise ValueError("cost.positions asks for decoding, which is causal; use a causal task, e.g. task=recall")
        with sketched():
            for width in cost.widths:
                self.layer(width, 0)
        lengths = [*cost.lengths, *cost.positions]
        if self.config.measure == "training":
            lengths += [each.length for each in [task, *task.evaluations().values()]]
        reach = min((mixer.reach for mixer in model.mixers if mixer.reach is not None), default=0)
        self.refuse_idle_reach("mixer", reach, lengths, instead="attention")

    def diagnose(self, subject: Subject) -> dict[str, float]:
        return diagnose(subject)

    def examine(self, subject: Subject) -> dict[str, Any]:
        return {"structure": heads.examine(subject)} if self.config.evaluation.structure else {}

    def maps(self, subject: Subject) -> list[Any]:
        batch = subject.draw(self.task, "test", 0, 1)
        return [map_BHNN[0] for map_BHNN in subject.model.maps(batch.tokens_BN, batch.mask_BN)]

    def measure(self, **repeated: Any) -> dict[str, Any]:
        """Of one layer: along the lengths, or the widths at one length; and of a step of decoding along the positions."""
        cost, width = self.config.cost, self.config.model.width
        if cost.widths:
            axis, points = "width", {str(other): (other, cost.lengths[0]) for other in cost.widths}
        else:
            axis, points = "length", {str(length): (width, length) for length in cost.lengths}
        slices: dict[str, Any] = {}
        if points:
            work = functools.partial(self.mixer.multiply_adds, causal=self.task.causal, **self.mixer_keys)
            size = {"tokens": cost.tokens, "sequences": cost.sequences}
            slices["cost"] = {axis: measure(self.layer, work, points=points, **size, **repeated)}
        if cost.positions:
            slices["decoding"] = {"position": decode(self.layer(width, 0), positions=cost.positions, **repeated)}
        return slices
