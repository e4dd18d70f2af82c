"""What a config may say: which keys, of which types, within which bounds, what contradicts what; and a run's identity.

The keys of the base recipe are declared in ``study.keys``, those of a task, mixer, position, readout or architecture by the
keywords of its class, which are read without importing it (``study.parts``): what a config alone shows is answered at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from study import keys, parts, records
from study.declarations import NAME

ENCODER = "encoder"  # the architecture whose parts are all chosen by groups of their own
# What the base recipe chooses; an architecture that has no use for a part leaves it at that.
BASE_PARTS = {"mixer": "attention", "position": "sinusoidal", "readout": "own"}
PLACES = {"root", "download", "cache"}  # of the machine, in a task
IN_NO_ID = PLACES | {"unchecked"}  # keys of a task
NOT_IN_AN_ID = {"readout": "own", "architecture": "encoder"}  # groups that came when there were records already


def register() -> None:
    """Make the typed config known to Hydra under the name ``schema``."""
    ConfigStore.instance().store("schema", keys.Config)


def check(config: DictConfig) -> None:
    """Refuse wrong types, values of the wrong kind and contradictions. Raises ``ValueError``, one line with the fix.

    Imports no part, and so no torch: what only a part itself can tell is for ``study.training.build.validate``.
    """
    if config.experiment is not None:
        raise ValueError("experiment=... declares a sweep of many runs: launch it with python run.py -m experiment=NAME")
    check_parts(config)
    for node, owner in keys.nodes().items():
        _refuse_unknown(config[node] if node else config, owner, f"{node}." if node else "")
    container = OmegaConf.to_container(config, resolve=True)
    for dotted, key in keys.every().items():
        if not key.fits(value := _select(container, dotted)):
            raise ValueError(f"{dotted}={value}: must {'all ' * isinstance(value, list)}be {key.bounds}")
    for dotted, value in _leaves(container):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{dotted}={value}: must be a finite number")
        if value == "":
            raise ValueError(f"{dotted} is empty: give it a value, or leave it out for its default")
    for message in _contradictions(config):
        raise ValueError(message)


def check_parts(config: DictConfig) -> None:
    """Refuse parts that are none of the study's, or not in their place, with keys they don't have or of the wrong type."""
    for group in parts.GROUPS:
        _check_part(group, config)


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

    Keys at the default of a part's class are left out too, as are those that ``study.keys`` calls later, so that a new key
    whose default keeps the old behaviour changes no id; so such a default must never change. One in a yaml is a value like any.
    """
    essence: dict[str, Any] = {}
    container: Any = OmegaConf.to_container(config, resolve=True)
    for name, node in container.items():
        if name in parts.GROUPS:
            own = {k: v for k, v in node.items() if k not in IN_NO_ID or name != "task"}
            defaults = parts.defaults(name, node["name"])
            kept = {k: v for k, v in own.items() if k not in defaults or defaults[k] != v}
            if kept != {"name": NOT_IN_AN_ID.get(name)}:
                essence[name] = kept
        elif isinstance(node, dict):
            if kept := {k: v for k, v in node.items() if _counts(f"{name}.{k}", v)}:
                essence[name] = kept
        elif _counts(name, node):
            essence[name] = node
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


def _refuse_unknown(node: DictConfig, owner: type, prefix: str) -> None:
    """Hydra's ``+key=value`` adds keys that no type knows, its ``~key`` takes away what is needed."""
    known = [each.name for each in dataclasses.fields(owner)]
    for key in map(str, node):
        if key not in known:
            raise ValueError(f"no key {prefix}{key} here; known: {', '.join(prefix + name for name in known)}")
    for key in known:
        if key not in node:
            raise ValueError(f"{prefix}{key} is missing: every key of the base recipe needs a value")


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


def _check_part(group: str, config: DictConfig) -> None:
    if OmegaConf.is_missing(config, group):
        raise ValueError(f"{group} is missing: choose one by name, {group}=NAME; there are {', '.join(parts.classes(group))}")
    node = config[group]
    given: dict[str, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    name = given.pop("name", None)
    parts.check(group, name)
    parameters = parts.keywords(group, name)
    for key in given:
        if key not in parameters:
            has = f"it has {', '.join(parameters)}" if parameters else "it has none"
            raise ValueError(f"{group}.{key}: {group}={name} has no such key; {has}")
    for key, parameter in parameters.items():
        if key not in given and parameter.default is inspect.Parameter.empty:
            raise ValueError(f"{group}.{key} is missing: give it in conf/{group}/ or on the command line")
        if key in given:
            typed = OmegaConf.structured(dataclasses.make_dataclass(group, [(key, parameter.annotation)]))
            try:
                typed[key] = given[key]
            except OmegaConfBaseException:
                kind = inspect.formatannotation(parameter.annotation)
                raise ValueError(f"{group}.{key}={given[key]}: must be of type {kind}") from None
            node[key] = typed[key]


def _counts(dotted: str, value: Any) -> bool:
    """Whether a key is part of the id."""
    key = keys.every()[dotted]
    return key.in_id == "always" or (key.in_id == "changed" and value != key.default)


def _select(container: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        container = container[name]
    return container


def _contradictions(config: DictConfig) -> Iterator[str]:
    """Keys that contradict each other, and what to set instead."""
    yield from _of_origin(config.origin)
    if not records.RUN_NAME.fullmatch(name(config)):
        yield "the names of experiment, task and arm are too long together for a folder's name: shorten them"
    yield from _of_cost(config)
    yield from _of_sweep(config)
    yield from _of_architecture(config)
    model = config.model
    if model.match == "multiply_adds" and config.readout.name != BASE_PARTS["readout"]:
        yield "model.match=multiply_adds counts the blocks alone: use it with readout=own, or match=parameters"
    if model.match == "tied" and model.tie != "none":
        yield "model.match=tied brings an untied model to a tied one's size: use it with model.tie=none"


def _of_origin(origin: DictConfig) -> Iterator[str]:
    """The sweeper's keys: a run's folder is named by them, and its record filed under them."""
    missing = [f"origin.{key}" for key in ("experiment", "arm", "task") if origin[key] is None]
    if len(missing) in (1, 2):
        yield f"{' and '.join(missing)} not given beside the rest of origin: leave all of it to the sweeper"
    for key, values in origin.items():
        for value in [values] if isinstance(values, str) else values or []:
            if not NAME.fullmatch(value):
                yield f"origin.{key!s}={value}: must be of letters, digits and _ . - alone; leave it to the sweeper"


def _of_cost(config: DictConfig) -> Iterator[str]:
    points = {f"cost.{key}": list(value) for key, value in config.cost.items() if OmegaConf.is_list(value)}
    if config.measure == "cost" and not any(points.values()):
        yield f"measure=cost needs points to measure at, e.g. cost.lengths=[64,128,256]; there are {', '.join(points)}"
    if config.measure != "cost" and (given := [key for key, values in points.items() if values]):
        yield f"{given[0]} asks for costs, which measure=cost measures: say that too, or leave it out"
    for key, values in points.items():
        if len(set(values)) < len(values):
            yield f"{key}={values}: each is measured once; name none twice"


def _of_sweep(config: DictConfig) -> Iterator[str]:
    for key in ("arms", "tasks", "seeds", "further_seeds", "committed"):
        if config.sweep[key] and config.origin.experiment is None:
            yield f"sweep.{key} is of a declared experiment: launch one by python run.py -m experiment=NAME, or leave it out"


def _of_architecture(config: DictConfig) -> Iterator[str]:
    """What the architecture has no use for must stand at its default, or it would be ignored."""
    own, task, model = config.architecture.name, config.task.name, config.model
    name, kind, asked_kind = (
        f"architecture={own}",
        *(parts.outline(*each).kind for each in (("architecture", own), ("task", task))),
    )
    if kind != asked_kind:
        fitting = " or ".join(
            each for each in parts.classes("architecture") if parts.outline("architecture", each).kind == asked_kind
        )
        yield f"{name} answers {kind}, but task={task} is a task of {asked_kind}: use architecture={fitting}"
    or_encoder = ", or use architecture=encoder" if asked_kind == parts.outline("architecture", ENCODER).kind else ""
    asked = parts.asked("architecture", own)
    for group, base in BASE_PARTS.items():
        node = config[group]
        changed = [key for key, value in parts.defaults(group, node.name).items() if node.get(key, value) != value]
        if group not in asked and (node.name != base or changed):
            yield f"{name} has no {group}: leave it at its default{or_encoder}"
    if own != ENCODER and "mixer" in asked and config.mixer.name != BASE_PARTS["mixer"]:
        does_not = f"which mixer={config.mixer.name} does not"
        yield f"{name} attends to all tokens, {does_not}: use mixer=attention{or_encoder}"
    if "arrangement" not in asked and model.arrangement != "pre_norm":
        yield f"{name} has no model.arrangement: leave it at pre_norm{or_encoder}"
    for key, none in {"dropout": 0, "tie": "none"}.items():
        if key not in asked and model[key] != none:
            yield f"{name} has no model.{key}: leave it at {none}"
    if "smoothing" not in asked and config.train.label_smoothing:
        yield f"{name} smooths no labels: leave train.label_smoothing at 0"
    if "smoothing" not in asked and (config.search.beam != 1 or config.search.length_penalty):
        yield f"{name} writes no sequences: leave search.beam at 1 and search.length_penalty at 0"
    if own == ENCODER and model.tie == "three_way":
        yield "model.tie=three_way ties source, target and output: use model.tie=output where there is no source"
    for key in ("structure", "heads", "gradients"):
        if own != ENCODER and config.evaluation[key]:
            yield f"evaluation.{key} reads the layers of architecture=encoder"
