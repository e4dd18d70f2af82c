"""Tasks that answer at places of a sequence of tokens."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from omegaconf import DictConfig

from study.cost.counting import multiply_adds, sketched
from study.cost.decoding import decode
from study.cost.measure import check_lengths, measure
from study.kinds.base import Kind, Maps, part
from study.mixers.attention import Attention
from study.mixers.base import Mixer
from study.models.encoder import SequenceModel
from study.models.sizing import solve_width
from study.probes import edges, gradients, heads
from study.probes.base import Subject
from study.probes.diagnostics import diagnose
from study.readouts.own import Own
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
        return self._sized(self.ffn_width(), tie=self.config.model.tie)

    def _sized(self, ffn_width: int, tie: str = "none", full: bool = False) -> SequenceModel:
        """``full``: what others are matched to, full attention in the mixer's place and each scored position read by itself."""
        task, model = self.task, self.config.model
        return SequenceModel(
            task.vocabulary,
            task.classes,
            width=model.width,
            layers=model.layers,
            ffn_width=ffn_width,
            causal=task.causal,
            mixer=lambda layer: (
                Attention(model.width, causal=task.causal, heads=1) if full else self.layer(model.width, layer, task.length)
            ),
            position=self.position(model.width, length=task.length, **self.position_keys),
            readout=Own if full else functools.partial(self.readout, **self.readout_keys),
            dropout=model.dropout,
            arrangement=model.arrangement,
            tie=tie,
        )

    def layer(self, width: int, layer: int, length: int) -> Mixer:
        """One mixer, made for a length."""
        return self.mixer(width, causal=self.task.causal, layer=layer, length=length, **self.mixer_keys)

    def ffn_width(self) -> int:
        model = self.config.model
        if model.match == "nothing":
            return model.ffn_width
        if model.match == "multiply_adds":
            with sketched("cpu"):
                target = self.token_work(self._sized(model.ffn_width, full=True))
                return self._solve(self.token_work, target, "multiply-adds per token")
        with sketched():
            target = other(self._sized(model.ffn_width, full=True))
            solved = self._solve(other, target, "parameters beside the embeddings")
            if model.match == "parameters":
                return solved
            if self.task.vocabulary != self.task.classes:
                raise ValueError("model.match=tied needs a task whose inputs are its outputs; use another match")
            return self._solve(whole, whole(self._sized(solved, tie="output")), "parameters")

    def _solve(self, count: Callable[[SequenceModel], float], target: float, what: str) -> int:
        return solve_width(lambda width: count(self._sized(width)), target, key="ffn_width", what=what)

    def work(self, model: SequenceModel) -> dict[str, Any]:
        return {
            "ffn_width": model.ffn_width,
            "multiply_adds_per_token": self.token_work(model),
            "multiply_adds_per_answer": self.answer_work(model),
            "reach": model.reach,
        }

    def token_work(self, model: SequenceModel) -> float:
        """Multiply-adds per token of the blocks."""
        x_BND = torch.zeros(1, self.task.length, model.width, device=model.head.weight.device)
        mixing = sum(multiply_adds(mixer.counted_as, x_BND) for mixer in model.mixers)
        feeding = sum(multiply_adds(block.ffn, x_BND) for block in model.blocks)  # type: ignore[arg-type, misc]
        return (mixing + feeding) / self.task.length

    def answer_work(self, model: SequenceModel) -> float:
        """Multiply-adds of one answer at the end of a sequence: readout and head."""
        x_BND = torch.zeros(1, self.task.length, model.width, device=model.head.weight.device)
        last_BT = torch.full((1, 1), self.task.length - 1, device=x_BND.device)
        return float(multiply_adds(model.readout, x_BND, last_BT, None, model.classify))

    def check(self, model: SequenceModel) -> None:
        super().check(model)
        task, cost = self.task, self.config.cost
        if self.config.evaluation.structure:
            edges.check(task, self.mixer)
        if self.config.evaluation.heads:
            heads.check(self.mixer)
        if cost.positions and not task.causal:
            raise ValueError("cost.positions asks for decoding, which is causal; use a causal task, e.g. task=recall")
        if cost.widths and len(cost.lengths) != 1:
            raise ValueError("cost.widths are measured at one length; give one, e.g. cost.lengths=[256]")
        with sketched():
            for width in cost.widths:
                self.layer(width, 0, cost.lengths[0])
        check_lengths(cost.lengths, cost.tokens, cost.sequences)
        lengths = [*cost.lengths, *cost.positions]
        if self.config.measure == "training":
            lengths += [each.length for each in [task, *task.evaluations().values()]]
        reach = min((mixer.reach for mixer in model.mixers if mixer.reach is not None), default=0)
        self.refuse_idle_reach("mixer", reach, lengths, instead="attention")

    def diagnose(self, subject: Subject) -> dict[str, float]:
        return diagnose(subject)

    def profile(self, subject: Subject) -> dict[str, Any]:
        return {"distance": gradients.come_back(subject)} if self.config.evaluation.gradients else {}

    def examine(self, subject: Subject) -> dict[str, Any]:
        probes = {"structure": edges.examine, "heads": heads.examine}
        return {name: probe(subject) for name, probe in probes.items() if self.config.evaluation[name]}

    def maps(self, subject: Subject) -> Maps:
        batch = subject.draw(self.task, "test", 0, 1)
        N = batch.tokens_BN.shape[1] if batch.mask_BN is None else int(batch.mask_BN[0].sum())
        names = self.task.source_names(batch.tokens_BN[0, :N].tolist())
        maps_BHNN = subject.model.maps(batch.tokens_BN, batch.mask_BN)
        return Maps([map_BHNN[0, :, :N, :N].float().cpu().numpy() for map_BHNN in maps_BHNN], names, names)

    def measure(self, **repeated: Any) -> dict[str, Any]:
        """Of one layer: along the lengths, or the widths at one length; and of a step of decoding along the positions."""
        cost, width = self.config.cost, self.config.model.width
        layer = functools.partial(self.layer, length=max(cost.lengths, default=0))
        if cost.widths:
            axis, points = "width", {str(other): (other, cost.lengths[0]) for other in cost.widths}
        else:
            axis, points = "length", {str(length): (width, length) for length in cost.lengths}
        slices: dict[str, Any] = {}
        if points:
            size = {"tokens": cost.tokens, "sequences": cost.sequences}
            slices["cost"] = {axis: measure(layer, points=points, **size, **repeated)}
        if cost.positions:
            slices["decoding"] = {"position": decode(layer(width, 0), positions=cost.positions, **repeated)}
        return slices


def whole(model: SequenceModel) -> int:
    return sum(model.parameter_counts().values())


def other(model: SequenceModel) -> int:
    return model.parameter_counts()["other"]
