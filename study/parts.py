"""The parts that a config chooses by name: which classes they are, and what their source says of them.

A part is a class of the study with ``name = "lstm"`` among its own attributes, in the package of its group; nothing else is
ever imported because a config names it. Configs, ids and records do not depend on where the class stands. What a check has to
know of a class - its bases, its keywords, plain class attributes - is read from its source: importing it would import torch,
which takes seconds, and a mistaken config should be refused at once.

The default of a key stands twice, on purpose. The yaml's is what a run gets, and users may edit it in their checkout. The
class's is what ids rest on, as keys that are at it are left out of them (``study.schema.identity``), so it never changes.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent


class Group(NamedTuple):
    """Where the classes of a group live, what they derive from, and which of their keywords task and model give."""

    package: str
    base: str
    given: str = ""


SIZES = "width layers ffn_width hidden channels dropout source_length target_length"
GROUPS = {
    "task": Group("study.tasks", "study.tasks.base.Task"),
    "mixer": Group("study.mixers", "study.mixers.base.Mixer", "causal layer length"),
    "position": Group("study.positions", "study.positions.base.Position", "length"),
    "readout": Group("study.readouts", "study.readouts.base.Readout", "causal"),
    "architecture": Group(
        "study.models",
        "study.models.base.Architecture",
        f"{SIZES} causal mixer position readout arrangement tie smoothing",
    ),
}
# A class with its name, found without parsing the file: that of all parts would take as long as all the rest of a check.
NAMED = re.compile(r"""^class (\w+)[^\n]*\n((?:[ ][^\n]*\n|\n)*?)    name = ["'](\w+)["']$""", re.MULTILINE)
TYPES = {kind.__name__: kind for kind in (bool, int, float, str, list)}  # what a config key may be


@functools.cache
def classes(group: str) -> Mapping[str, str]:
    """Import path by name, of all that a group offers. Raises ``ValueError`` where two classes have one name."""
    paths: dict[str, str] = {}
    for path in sorted(ROOT.joinpath(*GROUPS[group].package.split(".")).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for owner, _, name in NAMED.findall(path.read_text(encoding="utf-8")):
            if name in paths:
                raise ValueError(f"{module}.{owner} and {paths[name]} are both called {group}={name}")
            paths[name] = f"{module}.{owner}"
    return dict(sorted(paths.items()))


def check(group: str, name: Any) -> None:
    """Raises ``ValueError`` where the group has no such part."""
    if name not in (offered := list(classes(group))):
        raise ValueError(f"{group}={name}: there is none of this name; there are {', '.join(offered)}")


def load(group: str, name: Any) -> Any:
    """The class itself, imported. Raises ``ValueError``, and imports nothing, where there is none."""
    check(group, name)
    module, _, own = classes(group)[name].rpartition(".")
    return getattr(importlib.import_module(module), own)


def choice(part: type) -> str:
    """A class as a command line names it, e.g. "mixer=lstm"; by its own name where it isn't one of the study's."""
    for group in GROUPS:
        for name, path in classes(group).items():
            if path == f"{part.__module__}.{part.__qualname__}":
                return f"{group}={name}"
    return part.__name__


@functools.cache
def outline(group: str, name: str) -> Any:
    """A class like the part of that name, as far as its source says: its bases of the study and its plain attributes.

    Instead of methods it has ``constructor``, the arguments of ``__init__``. Raises ``ValueError`` where it doesn't derive
    from the base of its group.
    """
    base = GROUPS[group].base
    shadow = _outline(classes(group)[name])
    if shadow is _outline(base) or not issubclass(shadow, _outline(base)):
        raise ValueError(f"{classes(group)[name]} is called {group}={name}, so it must derive from {base}")
    return shadow


def asked(group: str, name: str) -> frozenset[str]:
    """Names of all that the constructor of a part can be given."""
    return frozenset(each.arg for taken in _arguments(group, name) for each in [*taken.args[1:], *taken.kwonlyargs])


def _arguments(group: str, name: str) -> Iterator[ast.arguments]:
    """Of the constructor of a part; and of its bases' constructors, as long as ``**given`` hands on to them."""
    for each in outline(group, name).__mro__:
        if taken := vars(each).get("constructor"):
            yield taken
            if taken.kwarg is None:
                return


@functools.cache
def keywords(group: str, name: str) -> Mapping[str, inspect.Parameter]:
    """Keyword-only parameters of a part, less what is given to it: the keys of its config, with types and defaults."""
    path = classes(group)[name]
    parameters: dict[str, inspect.Parameter] = {}
    taken = [pair for each in _arguments(group, name) for pair in zip(each.kwonlyargs, each.kw_defaults, strict=True)]
    for argument, default in taken:
        if argument.arg not in GROUPS[group].given.split() and argument.arg not in parameters:
            if argument.annotation is None:
                raise ValueError(f"{path}: its keyword {argument.arg} has no type; a config key needs one")
            try:
                value = inspect.Parameter.empty if default is None else ast.literal_eval(default)
            except ValueError:
                raise ValueError(f"{path}: the default of {argument.arg} must be written out, as a plain value") from None
            parameters[argument.arg] = inspect.Parameter(
                argument.arg,
                inspect.Parameter.KEYWORD_ONLY,
                default=value,
                annotation=_type(argument.annotation, path),
            )
    return parameters


def defaults(group: str, name: str) -> dict[str, Any]:
    """Defaults of a part's keys; a key without one has ``inspect.Parameter.empty``."""
    return {key: parameter.default for key, parameter in keywords(group, name).items()}


def _type(annotation: ast.expr, path: str) -> Any:
    try:
        return eval(ast.unparse(annotation), {"__builtins__": {}}, TYPES)
    except NameError as error:
        raise ValueError(f"{path}: {error}; a config key is of {', '.join(TYPES)}, a list of these, or null") from None


class _Root:
    constructor = ast.arguments([], [ast.arg("self")], None, [], [], None, [])


@functools.cache
def _outline(path: str) -> Any:
    """Of the class at an import path."""
    module, _, name = path.rpartition(".")
    body = _parse(ROOT.joinpath(*module.split(".")).with_suffix(".py")).body
    node = next(each for each in body if isinstance(each, ast.ClassDef) and each.name == name)
    known = {each.name: f"{module}.{each.name}" for each in body if isinstance(each, ast.ClassDef)}
    for each in body:
        if isinstance(each, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{each.module}.{alias.name}" for alias in each.names}
    bases = [known.get(ast.unparse(base), "") for base in node.bases]
    own = [_outline(base) for base in bases if base.startswith("study.")]
    attributes = _attributes(node)
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            attributes["constructor"] = each.args
    return type(name, tuple(own) or (_Root,), attributes)


def _attributes(node: ast.ClassDef) -> dict[str, Any]:
    """A class's own attributes that are literals; no check needs computed ones."""
    attributes = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            for place in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                try:
                    attributes[ast.unparse(place)] = ast.literal_eval(statement.value)
                except ValueError:
                    continue
    return attributes


@functools.cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
