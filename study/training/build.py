"""Task and model of a config."""

from __future__ import annotations

from functools import partial
from typing import Any

import hydra.utils
import torch
from omegaconf import DictConfig, OmegaConf

from study import schema
from study.mixers.base import Mixer
from study.models.encoder import SequenceModel
from study.models.sizing import solve_ffn_width, untied_ffn_width
from study.tasks.base import Task
from study.training import structure


def build_task(config: DictConfig) -> Task:
    task_class, keys = part(config.task)
    return task_class(**keys)


def build_model(config: DictConfig, task: Task) -> SequenceModel:
    """The model of ``config`` on ``task``; its feed-forward width is solved for as ``model.match`` says.

    Raises ``ValueError`` where choices contradict each other (heads that don't divide the width, ...).
    """
    mixer_class, mixer_keys = part(config.mixer)
    position_class, position_keys = part(config.position)
    readout_class, readout_keys = part(config.readout)
    width, layers = config.model.width, config.model.layers
    asked = mixer_class.takes(length=task.length)
    return SequenceModel(
        task.vocabulary,
        task.classes,
        width=width,
        layers=layers,
        ffn_width=ffn_width(config, task),
        causal=task.causal,
        mixer=lambda layer: mixer_class(width, causal=task.causal, layer=layer, **asked, **mixer_keys),
        position=position_class(width, length=task.length, **position_keys),
        readout=partial(readout_class, **readout_keys),
        dropout=config.model.dropout,
        arrangement=config.model.arrangement,
        tie=config.model.tie,
    )


def ffn_width(config: DictConfig, task: Task) -> int:
    mixer_class, mixer_keys = part(config.mixer)
    readout_class, readout_keys = part(config.readout)
    model = config.model
    solved = solve_ffn_width(
        "parameters" if model.match == "tied" else model.match,
        width=model.width,
        ffn_width=model.ffn_width,
        length=task.length,
        causal=task.causal,
        mixer=mixer_class,
        settings=mixer_keys,
        share=readout_class.parameter_count(model.width, **readout_keys) / model.layers,
    )
    if model.match != "tied":
        return solved
    return untied_ffn_width(width=model.width, layers=model.layers, ffn_width=solved, vocabulary=task.vocabulary)


def build_layer(config: DictConfig, causal: bool, width: int, layer: int) -> Mixer:
    """One mixer of ``config`` by itself, as its cost is measured."""
    mixer_class, mixer_keys = part(config.mixer)
    asked = mixer_class.takes(length=max(config.cost.lengths, default=0))
    return mixer_class(width, causal=causal, layer=layer, **asked, **mixer_keys)


def validate(config: DictConfig) -> None:
    """Refuse what could not be carried out, before anything is. Raises ``ValueError``, one line that says what would do."""
    schema.check(config)
    task = build_task(config)
    if config.evaluation.structure:
        structure.check(task, part(config.mixer)[0])
    if config.cost.positions and not task.causal:
        raise ValueError("cost.positions asks for decoding, which is causal; use a causal task, e.g. task=recall")
    with torch.device("meta"):
        build_model(config, task)
        for width in config.cost.widths:
            build_layer(config, task.causal, width, 0)


def part(node: DictConfig) -> tuple[Any, dict[str, Any]]:
    """The class that a mixer, position, readout or task node names, and its keywords."""
    keys: Any = OmegaConf.to_container(node, resolve=True)
    return hydra.utils.get_class(keys.pop("_target_")), keys
