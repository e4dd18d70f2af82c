"""The parts that a config names in ``_target_``: which classes these may be, and what their source says of them.

A part is a class of the study that a yaml in ``conf/<room>/`` names; nothing else is ever imported on a config's word. What
a check has to know of a class - its bases, its keywords, plain class attributes - is read from its source: importing it
would import torch, which takes longer than a mistake should have to wait for its answer.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ROOMS = {  # where the classes of a group live, and what they derive from
    "task": ("study.tasks", "study.tasks.base.Task"),
    "mixer": ("study.mixers", "study.mixers.base.Mixer"),
    "position": ("study.positions", "study.positions.base.Position"),
    "readout": ("study.readouts", "study.readouts.base.Readout"),
    "architecture": ("study.models", "study.models.base.Architecture"),
}
TYPES = {kind.__name__: kind for kind in (bool, int, float, str, list)}  # what a config key may be


@functools.cache
def choices(room: str) -> Mapping[str, str]:
    """Target by config name, of all that a group offers."""
    found = {}
    for path in sorted((ROOT / "conf" / room).glob("*.yaml")):
        if target := re.search(r"^_target_: *(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            found[path.stem] = target[1]
    return found


def find(target: Any) -> str:
    """The room of a target. Raises ``ValueError`` where no yaml of ``conf/`` names it."""
    for room in ROOMS:
        if target in choices(room).values():
            return room
    raise ValueError(f"_target_={target}: no file of conf/ names it, so it is not used; choose parts by name, e.g. mixer=lstm")


def choice(part: type | str) -> str:
    """A class or its target as a command line names it, e.g. "mixer=lstm"; by its own name where no config does."""
    target = part if isinstance(part, str) else f"{part.__module__}.{part.__qualname__}"
    for room in ROOMS:
        for name, named in choices(room).items():
            if named == target:
                return f"{room}={name}"
    return target.rpartition(".")[2]


def load(target: Any) -> Any:
    """The class itself, imported."""
    find(target)
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)


@functools.cache
def outline(target: str) -> Any:
    """A class like the one of a ``target``, as far as its source says: its bases of the study and its plain attributes.

    Instead of methods it has ``constructor``, the syntax tree of ``__init__``. Raises ``ValueError`` where there is no such
    class, or it isn't of its room.
    """
    shadow = _outline(target)
    for room, (package, base) in ROOMS.items():
        if target in choices(room).values() and not (
            target.startswith(f"{package}.") and shadow is not _outline(base) and issubclass(shadow, _outline(base))
        ):
            raise ValueError(f"conf/{room}/ names {target}: it must be a class of {package} that derives from {base}")
    return shadow


def asked(target: str) -> frozenset[str]:
    """Names of all that the constructor of a target can be given."""
    arguments = outline(target).constructor.args
    return frozenset(each.arg for each in [*arguments.args[1:], *arguments.kwonlyargs])


@functools.cache
def keywords(target: str, given: frozenset[str]) -> Mapping[str, inspect.Parameter]:
    """Keyword-only parameters of a target, less those in ``given``: the keys of its config, with types and defaults."""
    arguments = outline(target).constructor.args
    found = {}
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if argument.arg not in given:
            if argument.annotation is None:
                raise ValueError(f"{target}: its keyword {argument.arg} has no type; a config key needs one")
            try:
                value = inspect.Parameter.empty if default is None else ast.literal_eval(default)
            except ValueError:
                raise ValueError(f"{target}: the default of {argument.arg} must be written out, as a plain value") from None
            found[argument.arg] = inspect.Parameter(
                argument.arg,
                inspect.Parameter.KEYWORD_ONLY,
                default=value,
                annotation=_type(argument.annotation, target),
            )
    return found


def _type(annotation: ast.expr, target: str) -> Any:
    try:
        return eval(ast.unparse(annotation), {"__builtins__": {}}, TYPES)
    except NameError as error:
        raise ValueError(f"{target}: {error}; a config key is of {', '.join(TYPES)}, a list of these, or null") from None


class _Root:
    (constructor,) = ast.parse("def __init__(self): ...").body


@functools.cache
def _outline(target: str) -> Any:
    module, _, name = target.rpartition(".")
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    body = _parse(path).body if path.is_file() else []
    node = next((each for each in body if isinstance(each, ast.ClassDef) and each.name == name), None)
    if node is None:
        raise ValueError(f"there is no class {name} in {path.relative_to(ROOT)}")
    attributes: dict[str, Any] = {}
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            attributes["constructor"] = statement
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            for place in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                try:
                    attributes[ast.unparse(place)] = ast.literal_eval(statement.value)
                except ValueError:
                    continue  # computed: nothing that a check asks for
    known = {each.name: f"{module}.{each.name}" for each in body if isinstance(each, ast.ClassDef)}
    for each in body:
        if isinstance(each, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{each.module}.{alias.name}" for alias in each.names}
    bases = [known.get(ast.unparse(base), "") for base in node.bases]
    own = [_outline(base) for base in bases if base.startswith("study.")]
    return type(name, tuple(own) or (_Root,), attributes)


@functools.cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
