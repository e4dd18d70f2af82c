"""Types of every config key, what contradicts what, and a run's identity.

The fixed nodes are dataclasses. A mixer, position, readout or task is described by the keyword-only parameters of the class
that its yaml names in ``_target_``: those annotations are its schema, so a new part is one file and one small yaml.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import typing
from dataclasses import dataclass, field
from typing import Any

import hydra.utils
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

PARTS = ("task", "mixer", "position", "readout", "architecture")
GIVEN = {  # not by yaml but by the task and the model
    "task": set(),
    "mixer": {"causal", "layer", "length"},
    "position": {"length"},
    "readout": {"causal"},
    "architecture": {
        "width", "layers", "ffn_width", "hidden", "channels", "causal", "mixer", "position", "readout", "dropout",
        "arrangement", "tie", "smoothing", "source_length", "target_length",
    },
}  # fmt: skip


@dataclass
class Model:
    width: int = MISSING
    layers: int = MISSING
    ffn_width: int = MISSING
    match: str = MISSING
    dropout: float = 0.0
    arrangement: str = "pre_norm"
    tie: str = "none"


@dataclass
class Train:
    steps: int = MISSING
    batch: int = MISSING
    rate: float = MISSING
    warmup: float = MISSING
    weight_decay: float = MISSING
    clip: float = MISSING
    evaluate_every: int = MISSING
    stop_when_solved: bool = MISSING
    label_smoothing: float = 0.0


@dataclass
class Search:
    beam: int = 1
    length_penalty: float = 0.0


@dataclass
class Translate:
    run: str | None = None
    pictures: str | None = None


@dataclass
class Evaluation:
    validation_items: int = MISSING
    test_items: int = MISSING
    batch: int = MISSING
    structure: bool = False
    train: bool = False


@dataclass
class Cost:
    lengths: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    tokens: int = 4096
    sequences: int | None = None
    repeats: int = 5


@dataclass
class Data:
    root: str = MISSING
    download: bool = MISSING
    cache: str = MISSING


@dataclass
class Trainer:
    accelerator: str = MISSING
    precision: str = MISSING
    threads: int = MISSING
    checkpoint_every: int = MISSING
    keep_weights: bool = MISSING
    gpus: float = 0


@dataclass
class Tracking:
    mode: str = MISSING
    project: str = MISSING
    entity: str | None = None


@dataclass
class Sweep:
    arms: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    wait: bool = True
    committed: bool = False
    further_seeds: bool = False


@dataclass
class Origin:
    experiment: str | None = None
    arm: str | None = None
    task: str | None = None
    role: str = "single"
    claims: list[str] = field(default_factory=list)
    digest: str | None = None


@dataclass
class Config:
    task: dict[str, Any] = MISSING
    mixer: dict[str, Any] = MISSING
    position: dict[str, Any] = MISSING
    readout: dict[str, Any] = MISSING
    architecture: dict[str, Any] = MISSING
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    evaluation: Evaluation = field(default_factory=Evaluation)
    search: Search = field(default_factory=Search)
    cost: Cost = field(default_factory=Cost)
    translate: Translate = field(default_factory=Translate)
    data: Data = field(default_factory=Data)
    trainer: Trainer = field(default_factory=Trainer)
    tracking: Tracking = field(default_factory=Tracking)
    sweep: Sweep = field(default_factory=Sweep)
    origin: Origin = field(default_factory=Origin)
    experiment: Any = None
    measure: str = "training"
    tier: str = MISSING
    seed: int = MISSING
    runs: str = MISSING
    retry_failed: bool = False


CHOICES = {
    "measure": ("training", "cost"),
    "model.match": ("parameters", "multiply_adds", "nothing", "tied"),
    "model.arrangement": ("pre_norm", "post_norm", "residual", "norm", "plain"),
    "model.tie": ("none", "output", "three_way"),
    "trainer.accelerator": ("cpu", "gpu"),
    "trainer.precision": ("32-true", "bf16-mixed"),
    "tracking.mode": ("offline", "online", "off"),
    "origin.role": ("single", "tuning", "verdict"),
}
AT_LEAST_ONE = (
    "model.width", "model.layers", "model.ffn_width", "train.steps", "train.batch", "train.evaluate_every",
    "evaluation.validation_items", "evaluation.test_items", "evaluation.batch", "search.beam", "trainer.threads",
    "trainer.checkpoint_every",
)  # fmt: skip

# What can't change a result: where it is put, who watches, and which of the declared runs it is.
NEUTRAL = {"runs", "retry_failed", "tracking", "sweep", "data", "experiment", "tier", "translate"}
NEUTRAL_KEYS = {
    "origin": {"arm", "task", "role", "claims", "digest"},
    "trainer": {"checkpoint_every", "gpus", "keep_weights", "threads"},
    "task": {"root", "download", "cache"},
}


OWN = "study.readouts.own.Own"  # the readout that leaves all mixing to the blocks
ENCODER = "study.models.encoder.SequenceModel"  # the architecture whose parts are all chosen by groups of their own
ROOT_DEFAULTS: dict[str, Any] = {"measure": "training", "readout": {"_target_": OWN}, "architecture": {"_target_": ENCODER}}
# What the base recipe chooses; an architecture that has no use for a part leaves it at that.
BASE_PARTS = {
    "mixer": "study.mixers.attention.Attention",
    "position": "study.positions.sinusoidal.Sinusoidal",
    "readout": OWN,
}


def register() -> None:
    """Make the typed config known to Hydra under the name ``schema``."""
    ConfigStore.instance().store("schema", Config)


def check(config: DictConfig) -> None:
    """Refuse wrong types and values of the wrong kind. Raises ``ValueError``, one line that says what would do."""
    if config.experiment is not None:
        raise ValueError("experiment=... declares a sweep of many runs: launch it with python run.py -m experiment=NAME")
    _refuse_unknown(config, Config)
    for part in PARTS:
        _check_part(part, config[part])
    _refuse_unused(config)
    for key, allowed in CHOICES.items():
        if (value := OmegaConf.select(config, key)) not in allowed:
            raise ValueError(f"{key}={value}: must be one of {', '.join(allowed)}")
    for key in AT_LEAST_ONE:
        if (value := OmegaConf.select(config, key)) < 1:
            raise ValueError(f"{key}={value}: must be at least 1")
    if not 0 <= config.train.label_smoothing < 1:
        raise ValueError(f"train.label_smoothing={config.train.label_smoothing}: must be at least 0 and below 1")
    if not 0 <= config.trainer.gpus <= 1:
        raise ValueError(f"trainer.gpus={config.trainer.gpus:g}: a run uses one GPU or a part of it: from 0, for none, to 1")
    if config.search.length_penalty < 0:
        raise ValueError(f"search.length_penalty={config.search.length_penalty}: must be 0 or more")
    if config.translate.pictures and not config.translate.run:
        raise ValueError("translate.pictures draws what a finished run looks at: name it, translate.run=runs/NAME")
    if config.measure == "cost" and not (config.cost.lengths or config.cost.positions or config.cost.sizes):
        raise ValueError(
            "measure=cost needs the lengths to measure at, e.g. cost.lengths=[64,128,256], or of images cost.sizes=[28,40]"
        )
    if config.model.match == "multiply_adds" and config.readout._target_ != OWN:
        raise ValueError("model.match=multiply_adds counts the blocks alone: use it with readout=own, or match=parameters")
    if config.cost.widths and len(config.cost.lengths) != 1:
        raise ValueError("cost.widths are measured at one length; give one, e.g. cost.lengths=[256]")
    if config.cost.sequences is not None and config.cost.sequences < 1:
        raise ValueError(f"cost.sequences={config.cost.sequences}: must be at least 1, or null for as many as hold cost.tokens")
    for key in ("cost.lengths", "cost.widths", "cost.positions", "cost.sizes"):
        if any(value < 1 for value in OmegaConf.select(config, key)):
            raise ValueError(f"{key}={list(OmegaConf.select(config, key))}: must all be at least 1")
    if config.seed < 0:
        raise ValueError(f"seed={config.seed}: must be a whole number, 0 or more")
    if not 0 <= config.train.warmup < 1:
        raise ValueError(f"train.warmup={config.train.warmup}: must be a share of the steps, at least 0 and below 1")
    if not 0 <= config.model.dropout < 1:
        raise ValueError(f"model.dropout={config.model.dropout}: must be at least 0 and below 1")
    if config.model.match == "tied" and config.model.tie != "none":
        raise ValueError("model.match=tied brings an untied model to a tied one's size: use it with model.tie=none")
    for key in ("train.rate", "train.clip"):
        if not 0 < OmegaConf.select(config, key) < math.inf:
            raise ValueError(f"{key}={OmegaConf.select(config, key)}: must be a number above 0")
    if not 0 <= config.train.weight_decay < math.inf:
        raise ValueError(f"train.weight_decay={config.train.weight_decay}: must be 0 or more")


def identity(config: DictConfig) -> str:
    """The run's id: a hash of its resolved config less what can't change the result.

    Keys at a parameter's default are left out too, so that a later key whose default means "as before" moves no id;
    hence a default, once given, stays.
    """
    essence: dict[str, Any] = {}
    container: Any = OmegaConf.to_container(config, resolve=True)
    for key, node in container.items():
        if key in NEUTRAL:
            continue
        if isinstance(node, dict):
            defaults = _defaults(key, node)
            neutral = NEUTRAL_KEYS.get(key, set())
            node = {k: v for k, v in node.items() if k not in neutral and not (k in defaults and defaults[k] == v)}
        if node != ROOT_DEFAULTS.get(key) and node != {}:
            essence[key] = node
    text = json.dumps(essence, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def name(config: DictConfig) -> str:
    """The run's readable name; it ends on the id, so it is unique."""
    origin = config.origin
    if origin.experiment:
        parts = [origin.experiment, origin.task, origin.arm, origin.role]
    else:
        chosen = ("mixer", "position") if config.architecture._target_ == ENCODER else ("architecture",)
        parts = [_short(config[part]) for part in ("task", *chosen)]
    how = f"lr{config.train.rate:g}" if config.measure == "training" else config.measure
    return "-".join([*parts, how, f"s{config.seed}", identity(config)])


def known_keys(config: DictConfig) -> list[str]:
    """Every key that an override may name, dotted."""

    def walk(node: Any, prefix: str) -> typing.Iterator[str]:
        for key in node:
            yield f"{prefix}{key}"
            if isinstance(node._get_node(key), DictConfig) and not OmegaConf.is_missing(node, key):
                yield from walk(node._get_node(key), f"{prefix}{key}.")

    return list(walk(config, ""))


def part_parameters(part: str, target: str) -> dict[str, inspect.Parameter]:
    """Keyword-only parameters, by name, of the class named by a part's ``_target_``: the keys of its config."""
    signature = inspect.signature(hydra.utils.get_class(target))
    return {
        key: parameter
        for key, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key not in GIVEN[part]
    }


def _refuse_unknown(node: DictConfig, owner: type, prefix: str = "") -> None:
    """Hydra's ``+key=value`` adds keys that no type knows."""
    fields = {f.name: f.default_factory for f in dataclasses.fields(owner)}
    for key in map(str, node):
        if key not in fields:
            raise ValueError(f"no key {prefix}{key} here; known: {', '.join(prefix + known for known in fields)}")
        if dataclasses.is_dataclass(fields[key]):
            _refuse_unknown(node[key], fields[key], f"{prefix}{key}.")  # type: ignore[arg-type]


def _check_part(part: str, node: DictConfig) -> None:
    target = node._target_
    owner = hydra.utils.get_class(target)
    hints = typing.get_type_hints(owner.__init__)  # type: ignore[misc]
    parameters = part_parameters(part, target)
    given: dict[str, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    for key in given:
        if key != "_target_" and key not in parameters:
            raise ValueError(f"{part}.{key}: {owner.__name__} has no such key; it has {', '.join(parameters) or 'none'}")
    for key, parameter in parameters.items():
        if key not in given and parameter.default is inspect.Parameter.empty:
            raise ValueError(f"{part}.{key} is missing: give it in conf/{part}/ or on the command line")
        if key in given:
            typed = OmegaConf.structured(dataclasses.make_dataclass(part, [(key, hints[key])]))
            try:
                typed[key] = given[key]
            except OmegaConfBaseException:
                kind = inspect.formatannotation(hints[key])
                raise ValueError(f"{part}.{key}={given[key]}: must be of type {kind}") from None
            node[key] = typed[key]


def _refuse_unused(config: DictConfig) -> None:
    """What the architecture has no use for must stand at its default, or it would be ignored."""
    target = config.architecture._target_
    asked = inspect.signature(hydra.utils.get_class(target)).parameters
    name = target.rsplit(".", 1)[-1]
    for part, base in BASE_PARTS.items():
        node: Any = OmegaConf.to_container(config[part], resolve=True)
        own = {key for key, value in _defaults(part, node).items() if node.get(key, value) != value}
        if part not in asked and (node["_target_"] != base or own):
            raise ValueError(f"architecture {name} has no {part}: leave it at its default, or use architecture=encoder")
    for key, base in {"arrangement": "pre_norm"}.items():
        if key not in asked and config.model[key] != base:
            raise ValueError(f"architecture {name} has no model.{key}: leave it at {base}, or use architecture=encoder")
    for key, none in {"dropout": 0, "tie": "none"}.items():
        if key not in asked and config.model[key] != none:
            raise ValueError(f"architecture {name} has no model.{key}: leave it at {none}")
    if "smoothing" not in asked and config.train.label_smoothing:
        raise ValueError(f"architecture {name} smooths no labels: leave train.label_smoothing at 0")
    if target == ENCODER and config.model.tie == "three_way":
        raise ValueError("model.tie=three_way ties source, target and output: use model.tie=output where there is no source")
    if "smoothing" not in asked and (config.search.beam != 1 or config.search.length_penalty):
        raise ValueError(f"architecture {name} writes no sequences: leave search.beam at 1 and search.length_penalty at 0")
    if target != ENCODER:
        if config.cost.lengths or config.cost.positions:
            raise ValueError("cost.lengths and cost.positions are of one mixer layer: use them with architecture=encoder")
        if config.evaluation.structure:
            raise ValueError("evaluation.structure looks at the layers of architecture=encoder")


def _defaults(key: str, node: dict[str, Any]) -> dict[str, Any]:
    if key in PARTS:
        parameters = part_parameters(key, node["_target_"]).items()
        return {name: parameter.default for name, parameter in parameters}
    owner = {f.name: f.default_factory for f in dataclasses.fields(Config)}[key]
    fields = dataclasses.fields(owner)  # type: ignore[arg-type]
    made = {f.name: f.default_factory() for f in fields if f.default_factory is not dataclasses.MISSING}
    return made | {f.name: f.default for f in fields if f.default is not dataclasses.MISSING and f.default != MISSING}


def _short(node: DictConfig) -> str:
    return str(node._target_).rsplit(".", 1)[-1].lower()
