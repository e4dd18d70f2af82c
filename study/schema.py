"""Types of every config key, what contradicts what, and a run's identity.

The fixed nodes are dataclasses. A mixer, position, readout, task or architecture is described by the keyword-only parameters
of the class that bears its name: those annotations are its schema, so a new part is one file and one small yaml. They are read
without importing the class (``study.parts``), so that what a config alone shows is answered at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import tempfile
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from study import parts, records
from study.experiments import NAME, TIERS

PARTS = tuple(parts.GROUPS)
GIVEN = {  # not by yaml but by the task and the model
    "task": frozenset[str](),
    "mixer": frozenset({"causal", "layer", "length"}),
    "position": frozenset({"length"}),
    "readout": frozenset({"causal"}),
    "architecture": frozenset(
        {
            "width",
            "layers",
            "ffn_width",
            "hidden",
            "channels",
            "causal",
            "mixer",
            "position",
            "readout",
            "dropout",
            "arrangement",
            "tie",
            "smoothing",
            "source_length",
            "target_length",
        }
    ),
}


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
    "tier": TIERS,
    "model.match": ("parameters", "multiply_adds", "nothing", "tied"),
    "model.arrangement": ("pre_norm", "post_norm", "residual", "norm", "plain"),
    "model.tie": ("none", "output", "three_way"),
    "trainer.accelerator": ("cpu", "gpu"),
    "trainer.precision": ("32-true", "bf16-mixed"),
    "tracking.mode": ("offline", "online", "off"),
    "origin.role": ("single", "tuning", "verdict"),
}
AT_LEAST_ONE = (
    "model.width",
    "model.layers",
    "model.ffn_width",
    "train.steps",
    "train.batch",
    "train.evaluate_every",
    "evaluation.validation_items",
    "evaluation.test_items",
    "evaluation.batch",
    "search.beam",
    "cost.tokens",
    "cost.repeats",
    "trainer.threads",
    "trainer.checkpoint_every",
)
RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **{key: (lambda value: value >= 1, "at least 1") for key in AT_LEAST_ONE},
    "seed": (lambda value: 0 <= value <= records.LARGEST_WHOLE, "a whole number from 0 to 2^53"),
    "train.rate": (lambda value: 0 < value <= records.LARGEST, "a number above 0, and at most 1e150"),
    "train.clip": (lambda value: 0 < value < math.inf, "a number above 0"),
    "train.weight_decay": (lambda value: 0 <= value < math.inf, "0 or more"),
    "train.warmup": (lambda value: 0 <= value < 1, "a share of the steps, at least 0 and below 1"),
    "train.label_smoothing": (lambda value: 0 <= value < 1, "at least 0 and below 1"),
    "model.dropout": (lambda value: 0 <= value < 1, "at least 0 and below 1"),
    "trainer.gpus": (lambda value: 0 <= value <= 1, "from 0, for none, to 1: a run uses one GPU or a part of it"),
    # Wu et al. 2016 try 0 to 1; far above, nothing but the length of an output counts.
    "search.length_penalty": (lambda value: 0 <= value <= 10, "from 0 to 10; 0.6 to 1 is usual"),
}
POINTS = ("cost.lengths", "cost.widths", "cost.positions", "cost.sizes")  # what costs are measured at

PLACES = {"root", "download", "cache"}  # of the machine, in a task
# What can't change a result: where it is put, who watches, and which of the declared runs it is.
NEUTRAL = {"runs", "retry_failed", "tracking", "sweep", "data", "experiment", "tier"}
NEUTRAL_KEYS = {
    "origin": {"arm", "task", "role", "claims", "digest"},
    "trainer": {"checkpoint_every", "gpus", "keep_weights", "threads"},
    "task": PLACES | {"unchecked"},
}


OWN = "own"  # the readout that leaves all mixing to the blocks
ENCODER = "encoder"  # the architecture whose parts are all chosen by groups of their own
ROOT_DEFAULTS: dict[str, Any] = {"measure": "training", "readout": {"name": OWN}, "architecture": {"name": ENCODER}}
# What the base recipe chooses; an architecture that has no use for a part leaves it at that.
BASE_PARTS = {"mixer": "attention", "position": "sinusoidal", "readout": OWN}


def register() -> None:
    """Make the typed config known to Hydra under the name ``schema``."""
    ConfigStore.instance().store("schema", Config)


def check(config: DictConfig) -> None:
    """Refuse wrong types and values of the wrong kind. Raises ``ValueError``, one line that says what would do.

    Imports no part, and so no torch: what only a part itself can tell is for ``study.training.build.validate``.
    """
    if config.experiment is not None:
        raise ValueError("experiment=... declares a sweep of many runs: launch it with python run.py -m experiment=NAME")
    check_parts(config)
    _refuse_unknown(config, Config)
    for key, allowed in CHOICES.items():
        if (value := OmegaConf.select(config, key)) not in allowed:
            raise ValueError(f"{key}={value}: must be one of {', '.join(allowed)}")
    for key, (fits, words) in RANGES.items():
        if not fits(value := OmegaConf.select(config, key)):
            raise ValueError(f"{key}={value}: must be {words}")
    for key, value in _leaves(OmegaConf.to_container(config, resolve=True)):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key}={value}: must be a finite number")
        if value == "":
            raise ValueError(f"{key} is empty: give it a value, or leave it out for its default")
    _check_origin(config.origin)
    if not records.RUN_NAME.fullmatch(name(config)):
        raise ValueError("the names of experiment, task and arm are too long together for a folder's name: shorten them")
    _check_cost(config)
    _refuse_unused(config)
    if config.model.match == "multiply_adds" and config.readout.name != OWN:
        raise ValueError("model.match=multiply_adds counts the blocks alone: use it with readout=own, or match=parameters")
    if config.model.match == "tied" and config.model.tie != "none":
        raise ValueError("model.match=tied brings an untied model to a tied one's size: use it with model.tie=none")


def check_parts(config: DictConfig) -> None:
    """Refuse parts that are none of the study's, or not in their place, with keys they don't have or of the wrong type."""
    for part in PARTS:
        _check_part(part, config)


def check_folder(config: DictConfig, run: str = "*") -> None:
    """Refuse a folder of records that nothing can be written to, unless it holds one of ``run`` (a name, or any) already."""
    folder = Path(config.runs)
    if any(folder.glob(f"{run}/{records.NAME}")):
        return
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryDirectory(dir=place):  # permissions don't tell all: a file system may be read-only, or full
            pass
    except OSError as error:
        reason = f"{place} is a file" if place.is_file() else f"{place} takes no new folder ({error.strerror})"
        raise ValueError(f"runs={config.runs}: {reason}; name a folder that can be written to, runs=FOLDER") from None


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


def portable(config: DictConfig) -> dict[str, Any]:
    """The resolved config as a record keeps it: without the places of the machine that it ran on."""
    container: Any = OmegaConf.to_container(config, resolve=True)
    kept = {key: node for key, node in container.items() if key not in ("runs", "data")}
    return kept | {"task": {key: value for key, value in kept["task"].items() if key not in PLACES}}


def name(config: DictConfig) -> str:
    """The run's readable name; it ends on the id, so it is unique."""
    origin = config.origin
    if origin.experiment:
        parts = [origin.experiment, origin.task, origin.arm, origin.role]
    else:
        chosen = ("mixer", "position") if config.architecture.name == ENCODER else ("architecture",)
        parts = [config[part].name for part in ("task", *chosen)]
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


def part_parameters(group: str, name: str) -> typing.Mapping[str, inspect.Parameter]:
    """Keyword-only parameters, by name, of a part: the keys of its config."""
    return parts.keywords(group, name, GIVEN[group])


def _refuse_unknown(node: DictConfig, owner: type, prefix: str = "") -> None:
    """Hydra's ``+key=value`` adds keys that no type knows, its ``~key`` takes away what is needed."""
    fields = {f.name: f.default_factory for f in dataclasses.fields(owner)}
    for key in map(str, node):
        if key not in fields:
            raise ValueError(f"no key {prefix}{key} here; known: {', '.join(prefix + known for known in fields)}")
    for key in fields:
        if key not in node:
            raise ValueError(f"{prefix}{key} is missing: every key of the base recipe needs a value")
        if dataclasses.is_dataclass(fields[key]):
            _refuse_unknown(node[key], fields[key], f"{prefix}{key}.")  # type: ignore[arg-type]


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is no dict and no list, under its dotted key."""
    if isinstance(node, dict):
        for inner, value in node.items():
            yield from _leaves(value, f"{key}.{inner}" if key else str(inner))
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value, key)
    else:
        yield key, node


def _check_part(part: str, config: DictConfig) -> None:
    if OmegaConf.is_missing(config, part):
        raise ValueError(f"{part} is missing: choose one by name, {part}=NAME; there are {', '.join(parts.classes(part))}")
    node = config[part]
    given: dict[str, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    name = given.pop("name", None)
    parts.check(part, name)
    parameters = part_parameters(part, name)
    for key in given:
        if key not in parameters:
            has = f"it has {', '.join(parameters)}" if parameters else "it has none"
            raise ValueError(f"{part}.{key}: {part}={name} has no such key; {has}")
    for key, parameter in parameters.items():
        if key not in given and parameter.default is inspect.Parameter.empty:
            raise ValueError(f"{part}.{key} is missing: give it in conf/{part}/ or on the command line")
        if key in given:
            typed = OmegaConf.structured(dataclasses.make_dataclass(part, [(key, parameter.annotation)]))
            try:
                typed[key] = given[key]
            except OmegaConfBaseException:
                kind = inspect.formatannotation(parameter.annotation)
                raise ValueError(f"{part}.{key}={given[key]}: must be of type {kind}") from None
            node[key] = typed[key]


def _check_origin(origin: DictConfig) -> None:
    """The sweeper's keys: a run's folder is named by them, and its record filed under them."""
    missing = [f"origin.{key}" for key in ("experiment", "arm", "task") if origin[key] is None]
    if len(missing) in (1, 2):
        raise ValueError(f"{' and '.join(missing)} not given beside the rest of origin: leave all of it to the sweeper")
    for key, values in origin.items():
        for value in [values] if isinstance(values, str) else values or []:
            if not NAME.fullmatch(value):
                raise ValueError(f"origin.{key!s}={value}: must be of letters, digits and _ . - alone; leave it to the sweeper")


def _check_cost(config: DictConfig) -> None:
    cost = config.cost
    if config.measure == "cost" and not (cost.lengths or cost.positions or cost.sizes):
        raise ValueError(
            "measure=cost needs the lengths to measure at, e.g. cost.lengths=[64,128,256], or of images cost.sizes=[28,40]"
        )
    if cost.widths and len(cost.lengths) != 1:
        raise ValueError("cost.widths are measured at one length; give one, e.g. cost.lengths=[256]")
    if cost.sequences is not None and cost.sequences < 1:
        raise ValueError(f"cost.sequences={cost.sequences}: must be at least 1, or null for as many as hold cost.tokens")
    for key in POINTS:
        points = list(OmegaConf.select(config, key))
        if any(point < 1 for point in points):
            raise ValueError(f"{key}={points}: must all be at least 1")
        if len(set(points)) < len(points):
            raise ValueError(f"{key}={points}: each is measured once; name none twice")


def _refuse_unused(config: DictConfig) -> None:
    """What the architecture has no use for must stand at its default, or it would be ignored."""
    own, task = config.architecture.name, config.task.name
    name, kinds = f"architecture={own}", (parts.outline("architecture", own).kind, parts.outline("task", task).kind)
    if len(set(kinds)) > 1:
        fitting = " or ".join(
            each for each in parts.classes("architecture") if parts.outline("architecture", each).kind == kinds[1]
        )
        raise ValueError(f"{name} answers {kinds[0]}, but task={task} is a task of {kinds[1]}: use architecture={fitting}")
    asked = parts.asked("architecture", own)
    for part, base in BASE_PARTS.items():
        node: Any = OmegaConf.to_container(config[part], resolve=True)
        changed = {key for key, value in _defaults(part, node).items() if node.get(key, value) != value}
        if part not in asked and (node["name"] != base or changed):
            raise ValueError(f"{name} has no {part}: leave it at its default, or use architecture=encoder")
    if own != ENCODER and "mixer" in asked and config.mixer.name != BASE_PARTS["mixer"]:
        raise ValueError(
            f"{name} attends to all tokens, which mixer={config.mixer.name} does not: use mixer=attention, or "
            "architecture=encoder"
        )
    for key, base in {"arrangement": "pre_norm"}.items():
        if key not in asked and config.model[key] != base:
            raise ValueError(f"{name} has no model.{key}: leave it at {base}, or use architecture=encoder")
    for key, none in {"dropout": 0, "tie": "none"}.items():
        if key not in asked and config.model[key] != none:
            raise ValueError(f"{name} has no model.{key}: leave it at {none}")
    if "smoothing" not in asked and config.train.label_smoothing:
        raise ValueError(f"{name} smooths no labels: leave train.label_smoothing at 0")
    if own == ENCODER and config.model.tie == "three_way":
        raise ValueError("model.tie=three_way ties source, target and output: use model.tie=output where there is no source")
    if "smoothing" not in asked and (config.search.beam != 1 or config.search.length_penalty):
        raise ValueError(f"{name} writes no sequences: leave search.beam at 1 and search.length_penalty at 0")
    if own != ENCODER and config.evaluation.structure:
        raise ValueError("evaluation.structure looks at the layers of architecture=encoder")


def _defaults(key: str, node: dict[str, Any]) -> dict[str, Any]:
    if key in PARTS:
        parameters = part_parameters(key, node["name"]).items()
        return {name: parameter.default for name, parameter in parameters}
    owner = {f.name: f.default_factory for f in dataclasses.fields(Config)}[key]
    fields = dataclasses.fields(owner)  # type: ignore[arg-type]
    made = {f.name: f.default_factory() for f in fields if f.default_factory is not dataclasses.MISSING}
    return made | {f.name: f.default for f in fields if f.default is not dataclasses.MISSING and f.default != MISSING}
