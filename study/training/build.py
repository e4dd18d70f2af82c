"""Task and model of a config."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, get_args

import torch
from omegaconf import DictConfig, OmegaConf
from torch.overrides import TorchFunctionMode

from study import parts, schema
from study.mixers.base import Mixer
from study.models.encoder import SequenceModel
from study.models.seq2seq.base import EncoderDecoder
from study.models.seq2seq.sizing import solve_hidden
from study.models.seq2seq.transformer import Transformer
from study.models.sizing import solve_ffn_width, untied_ffn_width
from study.models.vision.cnn import ConvNet, Match, solve_channels
from study.models.vision.glimpse import LearnedGlimpses, RecurrentAttention
from study.tasks.base import Task
from study.tasks.images import ImageTask
from study.tasks.pairs import PairTask
from study.training import structure

WIDE = ("window", "kernel", "dilation")  # keys that say how far a layer sees
BESIDE_WIDE = {"mixer": "attention", "architecture": "luong_general"}


def build_task(config: DictConfig) -> Task:
    task_class, keys = part(config.task)
    return task_class(**keys)


def build_model(config: DictConfig, task: Task) -> Any:
    """The model of ``config`` on ``task``, of the size that ``model.match`` asks for.

    Raises ``ValueError`` where choices contradict each other (heads that don't divide the width, an architecture on a task
    that it can't answer, ...).
    """
    builders: dict[str, Any] = {"tokens": build_encoder, "pairs": build_encoder_decoder, "images": build_classifier}
    return builders[task.kind](config, task)


def build_encoder(config: DictConfig, task: Task) -> SequenceModel:
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


def build_encoder_decoder(config: DictConfig, task: PairTask) -> EncoderDecoder:
    """Its hidden width gives it as many parameters outside of embeddings as a Transformer of ``model.ffn_width`` has."""
    architecture, keys = part(config.architecture)
    mixer_class, mixer_keys = part(config.mixer)
    position_class, position_keys = part(config.position)
    model = config.model
    if model.tie == "three_way" and not task.joint:
        raise ValueError(
            f"model.tie=three_way needs one vocabulary for source and target, and {parts.choice(type(task))} has two here; use "
            f"model.tie=output, or a task with joint=true"
        )

    def build(hidden: int, architecture: Any = architecture, **keys: Any) -> EncoderDecoder:
        offered = {
            "mixer": lambda causal, layer: mixer_class(model.width, causal=causal, layer=layer, **mixer_keys),
            "position": lambda length: position_class(model.width, length=length, **position_keys),
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
            smoothing=config.train.label_smoothing,
            source_length=task.source_length,
            target_length=task.target_length,
            **{key: value for key, value in offered.items() if key in asked},
            **keys,
        )

    if model.match == "nothing":
        return build(model.ffn_width, **keys)
    if model.match != "parameters":
        raise ValueError(f"model.match={model.match} is for architecture=encoder; use parameters or nothing")
    with sketched():
        full = build(model.ffn_width, Transformer).parameter_counts()["other"]
    return build(solve_hidden(partial(build, **keys), full), **keys)


def build_classifier(config: DictConfig, task: ImageTask) -> RecurrentAttention | ConvNet:
    """A convolutional net is made as large, or as laborious, as the glimpse model of its width."""
    architecture, keys = part(config.architecture)
    if issubclass(architecture, RecurrentAttention):
        if config.model.match != "parameters":
            raise ValueError(f"model.match={config.model.match}: others are matched to glimpse models; leave it at parameters")
        return architecture(task.classes, width=config.model.width, **keys)
    if config.model.match not in get_args(Match):
        raise ValueError(f"model.match={config.model.match} has no meaning for images; use parameters or multiply_adds")
    with sketched():
        like = LearnedGlimpses(task.classes, width=config.model.width)
    channels = solve_channels(config.model.match, like, classes=task.classes, size=task.size)
    return architecture(task.classes, channels=channels, **keys)


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


def validate(config: DictConfig) -> Task:
    """Refuse what could not be carried out, before anything is; gives the task, whose data are at hand then.

    Raises ``ValueError``, one line that says what would do.
    """
    schema.check(config)
    task = build_task(config)
    if config.evaluation.structure:
        structure.check(task, part(config.mixer)[0])
    if config.cost.sizes and task.kind != "images":
        raise ValueError("cost.sizes are of images: use a task of them, e.g. task=clutter, or cost.lengths")
    if config.cost.positions and not task.causal:
        raise ValueError("cost.positions asks for decoding, which is causal; use a causal task, e.g. task=recall")
    with sketched():
        model = build_model(config, task)
        for width in config.cost.widths:
            build_layer(config, task.causal, width, 0)
    _refuse_idle_reach(config, task, model)
    return task


def _refuse_idle_reach(config: DictConfig, task: Task, model: Any) -> None:
    """A window or a kernel wider than any sequence is a slip: part of it would never meet a token."""
    if isinstance(model, SequenceModel):
        group, reach = "mixer", min((mixer.reach for mixer in model.mixers if mixer.reach is not None), default=0)
        lengths = [*config.cost.lengths, *config.cost.positions]
        if config.measure == "training":
            lengths += [each.length for each in [task, *task.evaluations().values()]]
    elif isinstance(task, PairTask):
        group, lengths = "architecture", [task.longest_source, task.longest_target]
        reach = max(config.architecture.get(key, 0) for key in WIDE)
    else:
        return
    if reach > max(lengths):
        named = ", ".join(f"{group}.{key}={config[group][key]}" for key in WIDE if key in config[group])
        raise ValueError(
            f"{named}: reaches {reach} positions away, and no sequence here has more than {max(lengths)}; use less, or "
            f"{group}={BESIDE_WIDE[group]}, which sees all of them"
        )


@contextmanager
def sketched() -> Iterator[None]:
    """Modules made within have sizes but no numbers (on the meta device), and are made at once, however large."""
    with torch.device("meta"), _Unstarted():
        yield


class _Unstarted(TorchFunctionMode):
    """Leaves tensors as they are instead of starting them: drawing on the meta device imports torch's compiler, for seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def part(node: DictConfig) -> tuple[Any, dict[str, Any]]:
    """The class that a mixer, position, readout, task or architecture node names, and its keywords.

    Raises ``ValueError``, and imports nothing, where it names none of the study's parts.
    """
    keys: Any = OmegaConf.to_container(node, resolve=True)
    return parts.load(keys.pop("_target_")), keys
