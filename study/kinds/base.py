"""What a run asks of its task's kind."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf

from study import parts
from study.probes.base import Subject
from study.tasks.base import Task

Slices = dict[str, dict[str, Any]]
WIDE = ("window", "kernel", "dilation")  # keys that say how far a layer sees


class Judged(NamedTuple):
    """What an evaluation found beside the scores of single items."""

    scores: dict[str, Any] = {}  # by metric
    slices: Slices = {}  # of these scores
    written: dict[str, Any] = {}  # examples for a person, or a picture; kept in the record


class Maps(NamedTuple):
    """What a model's attention is on in one sequence of the test."""

    layers_HTM: list[Any] = []  # weights of each head, by layer
    rows: list[str] = []  # the T tokens that attend
    columns: list[str] = []  # the M tokens that are attended to


class Kind(ABC):
    """A kind of task, for one config and its task.

    Kind "images" is the class ``Images`` of ``study/kinds/images.py``. A new kind is such a file; a ``Task`` and an
    ``Architecture`` whose ``kind`` is its name, in ``study/tasks`` and ``study/models``; and their yaml in ``conf/task`` and
    ``conf/architecture``. Nothing else knows it. Only ``build`` and ``work`` have to be given. One that has costs measured at
    other points than there are yet adds their key to ``study.keys.Cost``, and their words to ``analysis.cost_tables.AXES``.
    """

    costs: tuple[str, ...] = ()  # keys of the config's ``cost``, lists of points, that ``measure`` measures at

    def __init__(self, config: DictConfig, task: Any):
        self.config, self.task = config, task

    @abstractmethod
    def build(self) -> Any:
        """The model, of the size that ``model.match`` asks for, on torch's default device.

        Beside ``forward(**batch.inputs())``, logits (B, T, V), it has ``loss(**batch.inputs(), targets_BT=...)``, in nats, and
        ``parameter_counts()``. Raises ``ValueError`` where choices contradict each other.
        """

    @abstractmethod
    def work(self, model: Any) -> dict[str, Any]:
        """``multiply_adds_per_token`` and ``multiply_adds_per_answer``, forward; and what else a record says of the model.

        The model is in eval mode.
        """

    def check(self, model: Any) -> None:
        """Refuse a config that this kind can't carry out; ``model`` may be sketched. Raises ``ValueError`` with the fix."""
        for key, value in self.config.cost.items():
            if OmegaConf.is_list(value) and value and key not in self.costs:
                fix = " or ".join(f"cost.{known}" for known in self.costs) or "a task of another kind, e.g. task=recall"
                raise ValueError(f"cost.{key!s} can't be measured on a task of {self.task.kind}: use {fix}")

    def diagnose(self, subject: Subject) -> dict[str, float]:
        """Diagnostics before and after training; no draw from the run's random streams."""
        return {}

    def profile(self, subject: Subject) -> dict[str, Any]:
        """Slices of what is measured of a model before and after training; no draw from the run's random streams."""
        return {}

    def judge(self, subject: Subject, task: Any, split: str) -> Judged:
        """More of an evaluation, after its items were scored."""
        return Judged()

    def examine(self, subject: Subject) -> dict[str, Any]:
        """Further fields of the record of a trained model."""
        return {}

    def maps(self, subject: Subject) -> Maps:
        """Attention on one sequence of the test, for the dashboard; of no layer where there is none."""
        return Maps()

    def keep(self, folder: Path) -> None:
        """Write beside the weights what is needed to use them."""
        return

    def measure(self, *, repeats: int, device: torch.device, autocast: bool) -> dict[str, Any]:
        """Slices of the costs that the config asks for, at those of ``costs``."""
        raise NotImplementedError

    def describe(self, model: Any) -> dict[str, Any]:
        """What a record says of model and task: parameters, counted work, and what scores are held against."""
        task: Task = self.task
        return {
            "parameters": model.parameter_counts(),
            **self.work(model.eval()),
            "metric": task.metric,
            "solved_at": task.solved_at,
            "chance": task.chance,
            "heuristic": None if task.heuristic is None else dict(zip(("name", "score"), task.heuristic, strict=True)),
        }

    def refuse_idle_reach(self, group: str, reach: int, lengths: list[int], instead: str) -> None:
        """Refuse a window or a kernel wider than any sequence: part of it would never be used."""
        if reach > max(lengths):
            node = self.config[group]
            named = ", ".join(f"{group}.{key}={node[key]}" for key in WIDE if key in node)
            raise ValueError(
                f"{named}: reaches {reach} positions away, and no sequence here has more than {max(lengths)}; use less, or "
                f"{group}={instead}, which sees all of them"
            )


def kind_of(config: DictConfig, task: Task) -> Kind:
    """The kind of ``task``, found by its name."""
    return getattr(importlib.import_module(f"study.kinds.{task.kind}"), task.kind.capitalize())(config, task)


def part(config: DictConfig, group: str) -> tuple[Any, dict[str, Any]]:
    """The class that a config chooses of a group, and its keywords.

    Raises ``ValueError``, and imports nothing, where it names none of the study's parts.
    """
    keys: Any = OmegaConf.to_container(config[group], resolve=True)
    return parts.load(group, keys.pop("name")), keys
