"""What ``python run.py --help`` prints, from ``study.keys`` and the commented yaml files; and config errors in one line."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import shlex
import sys
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from study import keys, launching

CONF = Path(__file__).parent.parent / "conf"
GROUPS = ("experiment", "task", "architecture", "mixer", "position", "readout", "tier", "trainer")
LAUNCHER = "hydra/launcher"
USAGE = """\
Train one model:             python run.py task=recall mixer=lstm train.rate=0.001
Launch a declared sweep:     python run.py -m experiment=heads tier=core hydra/launcher=joblib
Several values of one key:   python run.py -m mixer=attention,lstm seed=0,1
Verdicts, tables, page:      python -m analysis --tier core --source runs

What each of these is, and how it is set: python run.py --help GROUP, e.g. --help mixer, or --help keys
"""


def asked(arguments: list[str]) -> str | None:
    """What to print where ``--help`` is among the arguments: one screen, or all of the topics beside it. Else None.

    Raises ``ValueError`` for an unknown topic.
    """
    if not {"--help", "-h"} & set(arguments):
        return None
    topics = [each for each in arguments if not each.startswith("-")]
    return "\n".join(map(_topic, topics)) if topics else "\n".join([USAGE, *_index()])


def after(config: DictConfig, name: str, state: str) -> list[str]:
    """Where a single run lies, and what can be done next."""
    folder = Path(config.runs) / name
    lines = [f"folder:    {folder}"]
    if state != "finished":
        return [*lines, f"why:       {folder / 'traceback.txt'}"] if (folder / "traceback.txt").exists() else lines
    if (folder.parent / "wandb").exists():
        lines.append(f"curves:    wandb leet {folder.parent / 'wandb'}")
    if (folder / "vocabulary").exists():
        lines.append(f"translate: echo ... | python -m study.translate --run {folder}")
    lines.append(f"page:      {page_of(folder.parent)}")
    if config.origin.experiment is None:
        lines.append("compare:   the same command with -m and several values, e.g. seed=0,1,2 or mixer=attention,lstm")
    return lines


def page_of(runs: Path) -> str:
    """The command that makes the page of a folder of runs."""
    return f"python -m analysis page --source {shlex.quote(str(runs))}"


def _topic(topic: str) -> str:
    topic = re.split("[=.]", topic)[0]
    pages = list(_key_pages(topic))
    if topic == LAUNCHER:
        return "\n".join(f"{LAUNCHER}={name}: {what}" for name, what in launching.LAUNCHERS.items())
    if topic not in GROUPS and not pages:
        known = (*GROUPS, LAUNCHER, "keys")
        close = difflib.get_close_matches(topic, known, n=1)
        hint = f"did you mean --help {close[0]}? " if close else ""
        raise ValueError(f"no help for {topic}; {hint}there is --help {', '.join(known)}")
    for path in _yamls(topic):
        body = _summary(path) if topic == "experiment" else textwrap.indent(_body(path), "    ")
        pages.append(f"{topic}={path.stem}\n{body}")
    return "\n".join(pages)


def _index() -> Iterator[str]:
    def entry(name: str, words: list[str]) -> str:
        width = 16
        return textwrap.fill(", ".join(words), 120, initial_indent=f"  {name:<{width}}", subsequent_indent=" " * (width + 2))

    yield "GROUPS, chosen by name, e.g. mixer=lstm"
    for group in GROUPS:
        yield entry(group, [path.stem for path in _yamls(group)])
    yield entry(LAUNCHER, list(launching.LAUNCHERS))
    yield ""
    yield "KEYS, e.g. train.rate=0.001"
    for node, owner in keys.nodes().items():
        yield entry(node or "(alone)", [each.name for each in dataclasses.fields(owner) if "key" in each.metadata])


def _key_pages(topic: str) -> Iterator[str]:
    """The keys of the base recipe as a yaml file would comment them: of one node, or all where the topic is "keys"."""
    for node, owner in keys.nodes().items():
        if topic in ("keys", node):
            head = [f"{node}:  # {' '.join((owner.__doc__ or '').split())}"] if node else []
            own = {each.name: each.metadata["key"] for each in dataclasses.fields(owner) if "key" in each.metadata}
            lines = [f"{'  ' * bool(node)}{name}: {_explained(key)}" for name, key in own.items()]
            yield "\n".join([*head, *lines, ""])


def _explained(key: keys.Key) -> str:
    default = key.default if isinstance(key.default, str) else json.dumps(key.default)
    means = key.one_of if isinstance(key.one_of, dict) else dict.fromkeys(key.one_of, "")
    choices = " | ".join(f"{choice} ({meaning})" if meaning else choice for choice, meaning in means.items())
    return f"{default}  # {key.words}" + (f": {choices}" if choices else f"; {key.bounds}" if key.bounds else "")


def _yamls(group: str) -> list[Path]:
    return sorted((CONF / group).glob("*.yaml"))


def refuse_flags(arguments: list[str]) -> None:
    """Refuse what looks like another program's options, ``--mixer lstm``. Raises ``ValueError`` with Hydra's form of it."""

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
        settable = [*GROUPS, *(each for group in GROUPS[1:] for each in _keys(group))]
        close = difflib.get_close_matches(key, settable, n=1) or [each for each in settable if each.endswith(f".{key}")]
        hint = f"say {close[0]}={value}" if close else "none is called so"
        raise ValueError(f"{flag}: keys take no dashes; {hint} (python run.py --help explains every key)")


def explain(error: Exception) -> str:
    """A config error in one line that says how to fix it; anything else with its traceback."""
    if isinstance(error, HydraException | OmegaConfBaseException):
        message = " ".join(str(error).split()).partition(" See https://")[0]
        override = error.override if isinstance(error, OverrideParseException) else ""
        return "error: " + _fix(message, str(error.__cause__ or ""), override)
    if isinstance(error, ValueError | OSError):
        return f"error: {error}"
    traceback.print_exception(error, file=sys.stderr)
    return f"error: {error}"


def _fix(message: str, cause: str, override: str) -> str:
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
        if owners := [path.stem for path in _yamls(group) if own in OmegaConf.load(path)]:
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
            return launching.fix(choice)
        choices = [path.stem for path in _yamls(group)]
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
    own = (f"{group}.{key}" for path in _yamls(group) for key in map(str, OmegaConf.load(path)) if key != "name")
    return list(dict.fromkeys([*keys.every(), *own]))


def _body(path: Path) -> str:
    """The file less its name and directives."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith(("# @package", "name:"))) + "\n"


def _summary(path: Path) -> str:
    node: Any = OmegaConf.load(path)
    parts = "; ".join(f"{part}: {', '.join(node[part])}" for part in ("arms", "tasks", "tiers"))
    return f"    {node.question}\n    {parts}\n"
