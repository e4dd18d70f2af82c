"""Whether a contrast stood as it stands before the first run that it judges was made.

Each record names the revision of the code that made it. What that revision says of the contrast (its rule with margin and
floor, and of the runs it compares the settings, cap, learning rates and seeds) is read from git and held against what is said
today; whether it decides a part, too. Words don't count: a statement may be written anew.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import claims as claims_module
from analysis.formats import as_csv
from analysis.load import ROOT
from analysis.rules.base import Rule
from study import yamls
from study.declarations import FOLDER, PROTOCOL
from study.experiments import Experiment
from study.records import Record

REGISTERED, AMENDED, OLDER, UNKNOWN = "registered", "amended", "older", "unknown"
MEANING = {
    REGISTERED: "it stood as it stands before the first run that it judges",
    AMENDED: "it was changed after the first run that it judges",
    OLDER: "the first run that it judges was made for an earlier edition of the study, which did not have it",
    UNKNOWN: "there is no history here to tell",
}
FILE = "registered.csv"
CONTROLS = "controls"

Declared = Mapping[str, Any]  # dotted key -> value


@dataclass(frozen=True)
class Finding:
    """``changes``: commits since then that changed it, each with what and why (the commit's subject)."""

    claim: str
    contrast: str
    state: str
    revision: str = ""
    first_run: str = ""
    changes: str = ""


@dataclass
class Registration:
    """Looks contrasts up in the history of ``root``; ``committed`` holds what was found where there was one."""

    tier: str
    claims: Path = claims_module.FOLDER
    declarations: Path = FOLDER
    root: Path = ROOT
    committed: Mapping[tuple[str, str, str], Finding] = field(default_factory=dict)
    found: list[Finding] = field(default_factory=list)

    def __call__(self, owner: str, contrast: Rule, records: Sequence[Record]) -> str:
        """The state of one contrast; "" where it judges no runs."""
        dated = [record for record in records if record["provenance"].get("started") and record["provenance"].get("revision")]
        if not dated:
            return ""
        first = min(dated, key=lambda record: str(record["provenance"]["started"]))
        revision, day = str(first["provenance"]["revision"]), str(first["provenance"]["started"])[:10]
        finding = self._look_up(owner, contrast, records, revision, day)
        if finding.state == UNKNOWN:
            finding = self.committed.get((owner, contrast.name, revision[:10]), finding)
        self.found.append(finding)
        return finding.state

    def _look_up(self, owner: str, contrast: Rule, records: Sequence[Record], revision: str, day: str) -> Finding:
        name = CONTROLS if owner == "control" else owner
        cells = sorted({(r["plan"]["experiment"] or "", r["plan"]["arm"] or "", r["plan"]["task"] or "") for r in records})
        files = self._files(name, {experiment for experiment, *_ in cells})
        known = (owner, contrast.name)

        def at(commit: str) -> Declared | None:
            texts = [text for path in files if (text := _show(self.root, commit, path)) is not None]
            return _declared(texts, name, contrast.name, self.tier, cells) if len(texts) == len(files) else None

        if not all(path.is_relative_to(self.root) for path in files) or not _has(self.root, revision):
            return Finding(*known, UNKNOWN, revision[:10], day)
        today = _declared([path.read_text(encoding="utf-8") for path in files], name, contrast.name, self.tier, cells)
        then = at(revision)
        if then is None:
            return Finding(*known, OLDER, revision[:10], day)
        if then == today:
            return Finding(*known, REGISTERED, revision[:10], day)
        changes, before = [], then
        for commit in _commits(self.root, revision, files):
            if (now := at(commit)) is not None and now != before:
                changes.append(f"{_words(self.root, commit)} ({'; '.join(_differences(before, now))})")
                before = now
        return Finding(*known, AMENDED, revision[:10], day, " | ".join(changes))

    def _files(self, claim: str, names: Iterable[str]) -> list[Path]:
        return [
            self.claims / f"{claim}.yaml",
            self.declarations.parent / PROTOCOL.name,
            *(self.declarations / f"{name}.yaml" for name in sorted(names)),
        ]

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(as_csv(map(vars, self.found)), encoding="utf-8")


def read(folder: Path) -> dict[tuple[str, str, str], Finding]:
    """What was committed, by claim, contrast and revision."""
    path = folder / FILE
    if not path.is_file():
        return {}
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    found = (Finding(*row) for row in rows.itertuples(index=False))
    return {(each.claim, each.contrast, each.revision): each for each in found}


def _declared(
    texts: Sequence[str], claim: str, contrast: str, tier: str, cells: Sequence[tuple[str, str, str]]
) -> Declared | None:
    """All that decides a contrast, from the texts of its files; None where they don't have it, or say it in other ways."""
    own, protocol, *declarations = map(_parsed, texts)
    try:
        rule = claims_module.contrasts(own if claim == CONTROLS else own.get("contrasts", {}))[contrast]
        named = [Experiment(declaration, protocol=protocol) for declaration in declarations]
        keys = rule.model_dump(include=set(rule.keys()), exclude_defaults=True)
        asked: dict[str, Any] = {"rule": rule.rule(), "decides a part": bool(rule.part), **keys}
        for name, arm, task in cells:
            experiment = next(each for each in named if each.name == name)
            sizes, variant = experiment.sizes(tier), experiment.tasks[task]
            asked[f"{name}.{task}"] = {
                key: getattr(variant, key) for key in ("margin", "target", "metric", "rate_of", "finals")
            }
            asked[f"{name}.{task}.{arm}"] = experiment.settings(tier, (arm, task))
            asked[name] = {
                "rates": sizes.rates,
                "tuning_seeds": sizes.tuning_seeds,
                "verdict_seeds": sizes.verdict_seeds,
                "further_seeds": sizes.further_seeds,
            }
        return dict(_flat("", asked))
    except (ValueError, KeyError, TypeError, StopIteration):
        return None


@cache
def _parsed(text: str) -> Any:
    return yamls.parse(text)


def _flat(prefix: str, node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), value)
    else:
        yield prefix, list(node) if isinstance(node, tuple) else node


def _differences(before: Declared, after: Declared) -> list[str]:
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return [f"{key}: {before.get(key, 'not said')} -> {after.get(key, 'not said')}" for key in keys]


def _git(root: Path, *arguments: str) -> str | None:
    """What git says, or None where it fails or there is none."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


@cache
def _has(root: Path, commit: str) -> bool:
    return _git(root, "cat-file", "-e", f"{commit}^{{commit}}") is not None


@cache
def _show(root: Path, commit: str, path: Path) -> str | None:
    return _git(root, "show", f"{commit}:{path.relative_to(root)}")


def _commits(root: Path, since: str, files: Sequence[Path]) -> list[str]:
    """Those after ``since`` that touch the files, the oldest first."""
    said = _git(root, "log", "--reverse", "--format=%H", f"{since}..HEAD", "--", *map(str, files))
    return (said or "").split()


def _words(root: Path, commit: str) -> str:
    return (_git(root, "show", "-s", "--format=%cs %h %s", commit) or commit).strip()
