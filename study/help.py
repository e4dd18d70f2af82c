"""What ``python run.py --help`` prints, read from the commented yaml files; and config errors in one line."""

from __future__ import annotations

import difflib
import re
import sys
import traceback
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from study import launching

CONF = Path(__file__).parent.parent / "conf"
GROUPS = ("experiment", "task", "architecture", "mixer", "position", "readout", "tier", "trainer", "tracking")
USAGE = """\
Train one model:             python run.py task=recall mixer=lstm train.rate=0.001
Launch a declared sweep:     python run.py -m experiment=heads tier=core hydra/launcher=joblib
Several values of one key:   python run.py -m mixer=attention,lstm seed=0,1
Verdicts, tables, report:    python -m analysis --tier core --source runs
"""


def register_help() -> None:
    """Give Hydra's ``--help`` the text, under the resolver ``${study_help:}``."""
    OmegaConf.register_new_resolver("study_help", text, replace=True)


def text() -> str:
    """Usage, the keys of the base recipe, then each group with its choices and their keys, as their files comment them."""
    parts = [USAGE, "KEYS OF THE BASE RECIPE", _body(CONF / "config.yaml")]
    for group in GROUPS:
        parts.append(f"GROUP {group}=...")
        for path in sorted((CONF / group).glob("*.yaml")):
            parts.append(f"  {group}={path.stem}")
            parts.append(_summary(path) if group == "experiment" else _indented(_body(path)))
    parts.append("GROUP hydra/launcher=...\n  " + "; ".join(f"{name}: {what}" for name, what in launching.LAUNCHERS.items()))
    return "\n".join(parts).replace("$", "$$")


def refuse_flags(arguments: list[str]) -> None:
    """Refuse what looks like another program's options, ``--mixer lstm``. Raises ``ValueError`` that says it in Hydra's way."""

    def refuse(message: str) -> None:
        raise ValueError(f"{message} (python run.py --help explains every key)")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[assignment, method-assign]  # which would print all of Hydra's options
    _, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0]
        key, _, value = flag.lstrip("-").partition("=")
        after = arguments[arguments.index(flag) + 1 :]
        if not value:
            value = after[0] if after and "=" not in after[0] and not after[0].startswith("-") else "..."
        keys = [*GROUPS, *(key for group in GROUPS[1:] for key in _keys(group))]
        close = difflib.get_close_matches(key, keys, n=1) or [known for known in keys if known.endswith(f".{key}")]
        hint = f"say {close[0]}={value}" if close else "none is called so"
        raise ValueError(f"{flag}: keys take no dashes; {hint} (python run.py --help explains every key)")


def explain(error: Exception) -> str:
    """A config error in one line that says what would do; anything else with its traceback."""
    if isinstance(error, HydraException | OmegaConfBaseException):
        message = " ".join(str(error).split()).partition(" See https://")[0]
        override = error.override if isinstance(error, OverrideParseException) else ""
        return "error: " + _mend(message, str(error.__cause__ or ""), override)
    if isinstance(error, ValueError | OSError):
        return f"error: {error}"
    traceback.print_exception(error, file=sys.stderr)
    return f"error: {error}"


def _mend(message: str, cause: str, override: str) -> str:
    if override:
        groups = [f"{group}={override}" for group in GROUPS if (CONF / group / f"{override}.yaml").is_file()]
        if override in GROUPS:
            hint = f"say {override}=NAME"
        elif groups:
            hint = f"did you mean {' or '.join(groups)}?"
        else:
            hint = f"quote what is no plain value, 'key=\"...\"' ({message})"
        return f"{override} is not of the form key=value; {hint}"
    if found := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '([^']+)'", message):
        key, _, values = found[1].partition("=")
        other = "" if key in GROUPS or "(" in values else f"; one list is written {key}=[{values}]"
        return f"{found[1]}: several values make a run each, which takes -m: python run.py -m {found[1]}{other}"
    if found := re.match(r"Multiple values for (\w+)", message):
        return f"{found[1]} has a value already: leave out the +"
    if message.startswith("Config group override must be a string"):
        return f"a group ({', '.join(GROUPS)}) takes a name, not null"
    if found := re.match(r"Could not override '([^']+)'", message):
        key = found[1]
        group, _, own = key.partition(".")
        if owners := [path.stem for path in sorted((CONF / group).glob("*.yaml")) if own in OmegaConf.load(path)]:
            return f"the chosen {group} has no {own}; {' or '.join(f'{group}={owner}' for owner in owners)} has"
        known = _keys(group)
        close = difflib.get_close_matches(key, {k for other in GROUPS[1:] for k in _keys(other)}, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        return f"no key {key} here; {hint} (python run.py --help explains every key)"
    if found := re.match(r"ValueError raised while resolving interpolation: (.+?)(?: full_key: .*)?$", message):
        return found[1]
    if found := re.match(r"Error merging override (\S+)", message):
        return f"{found[1]}: {cause.splitlines()[0]}"
    if found := re.match(r"In '[^']+': Could not (?:find|load) '([^']+)'", message):
        group, _, choice = found[1].rpartition("/")
        if group == "hydra/launcher":
            return launching.mend(choice)
        choices = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        if offered := re.search(r"Available options in '[^']+': (.*?) Config search path", message):
            choices = offered[1].split()
        close = difflib.get_close_matches(choice, choices, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        if choices:
            return f"no {group}={choice}; {hint}there are {', '.join(choices)}"
    return message


def _keys(near: str) -> list[str]:
    """Dotted keys that a run may set: of the base recipe, and of every choice of the group that ``near`` speaks of."""
    group = near.split(".")[0]
    keys: dict[str, None] = {}
    for path in [CONF / "config.yaml", *sorted((CONF / group).glob("*.yaml"))]:
        prefix = "" if path.stem == "config" else f"{group}."
        config: Any = OmegaConf.to_container(OmegaConf.load(path))
        for key, node in config.items():
            if key not in ("name", "defaults", "hydra"):
                inner = [f"{key}.{k}" for k in node] if isinstance(node, dict) else [key]
                keys |= dict.fromkeys(prefix + k for k in inner)
    return list(keys)


def _body(path: Path) -> str:
    """The file less its defaults list, its Hydra settings and directives."""
    lines, skipping = [], False
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.match(r"\S", line):
            skipping = line.startswith(("defaults:", "hydra:"))
        if not skipping and not line.startswith(("# @package", "name:")):
            lines.append(line)
    return "\n".join(lines).strip() + "\n"


def _summary(path: Path) -> str:
    node: Any = OmegaConf.load(path)
    parts = "; ".join(f"{part}: {', '.join(node[part])}" for part in ("arms", "tasks", "tiers"))
    return f"    {node.question}\n    {parts}\n"


def _indented(block: str) -> str:
    return "".join(f"    {line}\n" for line in block.splitlines())
