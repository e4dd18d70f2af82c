"""The rules by which a contrast is decided: a class per rule, in a module of the rule's name (``better.py`` has ``Better``).

A claim's file names a rule by that name, so a new rule is one new module here. What it has to offer is said in ``base.Rule``,
and in ``measured.Measured`` for a rule that goes by runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from analysis.rules.base import Rule
from analysis.rules.terms import refuse_unknown

COMMON = ("statement", "part", "repeats")  # keys of every contrast, beside its rule


@cache
def known() -> dict[str, type[Rule]]:
    """Every rule by its name."""
    rules = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        module = import_module(f"{__name__}.{path.stem}")
        rule = getattr(module, path.stem.title().replace("_", ""), None)
        if isinstance(rule, type) and issubclass(rule, Rule) and not isabstract(rule):
            rules[path.stem] = rule
    return rules


def read(name: str, node: Mapping[str, Any]) -> Rule:
    """A contrast from ``{statement: ..., part: ..., <rule>: {...}}``. Raises ``ValueError`` naming what is allowed."""
    common = {key: value for key, value in node.items() if key in COMMON}
    named = [key for key in node if key not in common]
    if len(named) != 1 or named[0] not in known():
        unknown = f"not {', '.join(map(repr, named))}" if named else "and has none"
        raise ValueError(f"{name}: needs one rule, {unknown}; known are {', '.join(known())}, beside {', '.join(COMMON)}")
    rule, fields = known()[named[0]], node[named[0]]
    try:
        refuse_unknown(fields, rule.keys())
        return rule(name=name, **common, **fields)
    except ValidationError as error:
        mistake = error.errors()[0]
        where = ".".join(str(part) for part in (name, named[0], *mistake["loc"]))
        raise ValueError(f"{where}: {mistake['msg'].removeprefix('Value error, ')}") from None
    except ValueError as error:
        raise ValueError(f"{name}.{named[0]}: {error}") from None
