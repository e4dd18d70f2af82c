"""Records, from where they lie: committed JSON lines, a folder of fresh runs, or a Weights & Biases project.

Invalid records are named, set aside and never counted.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from study import records
from study.declarations import TIERS
from study.records import RESULTS, Record, RecordError

ROOT = Path(__file__).parent.parent
WANDB = "wandb:"
PATIENCE = 10  # seconds that W&B's server gets to answer a question, or to give the history of a run


@dataclass
class Loaded:
    """Records of declared runs by tier; what was set aside as it is invalid or belongs nowhere, each with its reason; and what
    was replaced by another record of its run.
    """

    by_tier: dict[str, list[Record]] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    singles: list[Record] = field(default_factory=list)  # runs that belong to no experiment

    def add(self, found: Iterable[Record | RecordError]) -> Loaded:
        for item in found:
            if isinstance(item, RecordError):
                self.set_aside.append(str(item))
            elif item["plan"]["experiment"] is None:
                self.singles.append(item)
            else:
                self.by_tier.setdefault(item["plan"]["tier"], []).append(item)
        return self

    def finish(self) -> Loaded:
        """One record per planned run: a finished one before any other, then the latest."""
        for tier, found in self.by_tier.items():
            kept: dict[tuple, Record] = {}
            for record in sorted(found, key=_rank):
                plan = record["plan"]
                key = tuple(plan[part] for part in ("experiment", "arm", "task", "role", "rate", "seed", "digest"))
                if key in kept and kept[key]["checksum"] != record["checksum"]:
                    self.replaced.append(f"{kept[key]['name']} ({kept[key]['status']}): replaced by another record of the run")
                kept[key] = record
            self.by_tier[tier] = sorted(kept.values(), key=lambda record: record["name"])
        self.by_tier = {tier: self.by_tier[tier] for tier in (*TIERS, *self.by_tier) if tier in self.by_tier}
        return self


def load(source: str = "committed", results: Path = RESULTS) -> Loaded:
    """Records of ``source``: ``committed``, ``wandb:entity/project``, or a folder of fresh runs.

    Raises ``ValueError`` where there is no such place.
    """
    if source == "committed":
        return committed(results)
    if source.startswith(WANDB):
        return Loaded().add(from_wandb(source.removeprefix(WANDB))).finish()
    folder = Path(source)
    if not folder.is_dir():
        raise ValueError(f"--source {source}: no such folder; give a folder of runs, committed, or wandb:entity/project")
    return Loaded().add(records.load_runs(folder)).finish()


def committed(results: Path = RESULTS) -> Loaded:
    """Records under ``<results>/<tier>/records``; one that lies in the wrong file is set aside."""
    loaded = Loaded()
    for path in sorted(results.glob("*/records/*.jsonl")):
        tier, experiment = path.parent.parent.name, path.stem
        for number, item in enumerate(records.load_lines(path), 1):
            if not isinstance(item, RecordError):
                plan = item["plan"]
                if (plan["tier"], plan["experiment"]) != (tier, experiment):
                    item = RecordError(f"{path}:{number}: {item['name']} is a record of {plan['experiment']}, {plan['tier']}")
            loaded.add([item])
    return loaded.finish()


def collect(
    source: str, results: Path = RESULTS, tiers: Iterable[str] = (), experiments: Iterable[str] = ()
) -> tuple[list[str], list[str]]:
    """Gather the records of ``source`` into the committed files, beside those already there.

    Returns, in words, what it wrote and what gave way, and what it set aside.

    A finished record never gives way to one that is not. Raises ``ValueError``, and writes nothing, where a committed line is
    invalid: writing the rest anew would lose it.
    """
    fresh = load(source, results)
    both = committed(results)
    if both.set_aside:
        raise ValueError(f"{both.set_aside[0]}: fix or remove it first, since collecting writes these files anew")
    before = {record["checksum"] for found in both.by_tier.values() for record in found}
    touched: dict[tuple[str, str], int] = {}
    for tier, found in fresh.by_tier.items():
        for record in found:
            name = record["plan"]["experiment"]
            if (not tiers or tier in tiers) and (not experiments or name in experiments):
                both.add([record])
                new = record["checksum"] not in before
                touched[tier, name] = touched.get((tier, name), 0) + new
    both.finish()
    for tier, name in touched:
        lines = [record for record in both.by_tier[tier] if record["plan"]["experiment"] == name]
        records.write_lines(records.committed(tier, name, results), lines)
    said = [f"{tier}/{name}: {new} new records" for (tier, name), new in sorted(touched.items())]
    return said + list(dict.fromkeys(fresh.replaced + both.replaced)), fresh.set_aside


def from_wandb(project: str) -> Iterator[Record | RecordError]:
    """Records of a W&B project: each run has its record as an artifact.

    Raises ``ValueError``, one line, where it can't be read.
    """
    source = f"--source {WANDB}{project}"
    if not re.fullmatch(r"[^/\s]+/[^/\s]+", project):
        raise ValueError(f"{source}: give entity and project, {WANDB}entity/project")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which waits for a network of its own
    import wandb

    wandb.setup(wandb.Settings(mode="online", silent=True))  # WANDB_MODE is about logging, and this only reads
    began = time.monotonic()
    try:
        if not wandb.login(prompt=False, verify=False):  # the next line verifies
            raise wandb.errors.AuthenticationError("needs a W&B key")
        for run in wandb.Api(timeout=PATIENCE).runs(project, lazy=False):
            began = time.monotonic()
            yield _limited(partial(_record, f"{WANDB}{project}/{run.name}", run))
            began = time.monotonic()
    except Exception as error:  # whatever W&B's client makes of what the server says
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if time.monotonic() - began >= PATIENCE:
            reason = f"no answer within {PATIENCE} s"
            raise ValueError(f"{source}: {reason}; see to the network, or give a folder of runs") from None
        if isinstance(error, wandb.errors.AuthenticationError):
            raise ValueError(f"{source}: {reason}; run wandb login, or set WANDB_API_KEY") from None
        raise ValueError(f"{source}: {reason}; is there such a project, and may the key read it?") from None


def _limited(ask: Callable[[], Any]) -> Any:
    """What ``ask`` returns. Raises ``TimeoutError`` after ``PATIENCE`` seconds: W&B's client knows no limit for all it does."""
    future: Future[Any] = Future()

    def answer() -> None:
        try:
            future.set_result(ask())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=answer, daemon=True).start()
    return future.result(PATIENCE)


def _record(where: str, run: Any) -> Record | RecordError:
    """The latest record among a run's artifacts, read as one from a file is."""
    found = [artifact for artifact in run.logged_artifacts() if artifact.type == Path(records.NAME).stem]
    if not found:
        return RecordError(f"{where}: no record among its artifacts (state: {run.state})")
    with tempfile.TemporaryDirectory() as folder:
        for file in found[-1].files([records.NAME]):
            file.download(folder)
        try:
            return records.read(Path(folder) / records.NAME)
        except (RecordError, FileNotFoundError) as error:
            return RecordError(str(error).replace(folder, where))


def _rank(record: Record) -> tuple[bool, str]:
    return record["status"] == "finished", record["provenance"].get("started") or ""
