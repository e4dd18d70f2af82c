"""The runs of a declared experiment, phase by phase.

``Experiment.phases`` alone says which runs follow which. The sweep launches them (``study.sweeping``), the analysis matches
records to them (``analysis.results``).
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from study import yamls
from study.choosing import EXTENSIONS, FINALISTS, Choice, choose, contenders, finalists, is_over
from study.declarations import FOLDER, NAME, Cell, Declaration, Settings

SHARE = 0.333  # of the steps, after which the rates of a cell are compared and all but the finalists dropped


@dataclass(frozen=True)
class PlannedRun:
    """A run that an experiment asks for. ``settings`` are all its overrides, learning rate and seed included."""

    experiment: str
    tier: str
    arm: str
    task: str
    role: str  # tuning | verdict
    rate: float | None  # None where nothing is trained
    seed: int
    settings: Settings = field(hash=False)
    begun: PlannedRun | None = field(default=None, compare=False)  # the run whose end this one goes on from

    @cached_property
    def digest(self) -> str:
        """Names what was asked for: a record with another digest answers another question."""
        text = json.dumps(self.settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def cell(self) -> Cell:
        return self.arm, self.task

    @property
    def overrides(self) -> list[str]:
        return [f"{key}={_value(value)}" for key, value in self.settings.items()]


RecordOf = Callable[[PlannedRun], Mapping[str, Any] | None]  # the record of a run, or None where it has none yet


@dataclass(frozen=True)
class Phase:
    """Runs that don't wait for each other; ``choices`` are the learning rates that the records before them led to."""

    name: str
    runs: Sequence[PlannedRun]
    choices: Mapping[Cell, Choice]


class Experiment(Declaration):
    """A declaration, and the runs that it asks for."""

    def phases(self, tier: str, record_of: RecordOf, further: Collection[Cell] = ()) -> Iterator[Phase]:
        """The runs of a tier, phase by phase: the next phase is asked for when ``record_of`` knows the runs of this one.

        Tuning trains every rate of the grid for a share of the steps, then the finalists to the end. Where the best rate lies
        on an edge, the rate beyond it goes the same way, ``EXTENSIONS`` times at most. Rates that are close on the task that
        stands for another with ``finals`` are trained on that one, too. Verdict runs follow, on seeds of their own at the
        chosen rates, those of the cells ``further`` on the further seeds too. A cell without any rate has none.
        """
        new: dict[Cell, Sequence[float]] = dict.fromkeys(self.tuned_cells(tier), self.sizes(tier).rates)
        begun: dict[Cell, list[PlannedRun]] = {cell: [] for cell in new}
        ended: dict[Cell, list[PlannedRun]] = {cell: [] for cell in new}
        choices: dict[Cell, Choice] = {}

        def found(runs: Iterable[PlannedRun]) -> list[Mapping[str, Any]]:
            return [record for run in runs if (record := record_of(run)) is not None]

        for extension in range(1 + EXTENSIONS):
            name = "tuning" + " past the edge" * bool(extension)
            if self.is_halving(tier):
                first = self.tuning_runs(tier, new, begin=True)
                yield Phase(f"{name}, first third", first, choices)
                for run in first:
                    begun[run.cell].append(run)
                best = {cell: finalists(found(begun[cell]), self.tasks[cell[1]].tuned_on) for cell in new}
                first = [run for run in first if run.rate in best[run.cell]]
                over = [run for run in first if (record := record_of(run)) is not None and is_over(record)]
                last = [self._rest(run) for run in first if run not in over]
                yield Phase(f"{name}, to the end", last, choices)
            else:
                over, last = [], self.tuning_runs(tier, new)
                yield Phase(name, last, choices)
            for run in (*over, *last):
                ended[run.cell].append(run)
            chosen = {cell: choose(found(begun[cell]), found(ended[cell]), self.tasks[cell[1]].tuned_on) for cell in ended}
            choices = {cell: choice for cell, choice in chosen.items() if choice is not None}
            beyond = {cell: (choice.further,) for cell, choice in choices.items() if choice.further is not None}
            new = {cell: rates for cell, rates in beyond.items() if rates != new.get(cell)}  # not those that still lack records
            if not new:
                break
        taken = {cell: self.tuned(cell) for cell in self.cells(tier)}
        choices |= {cell: choices[source] for cell, source in taken.items() if source in choices}
        meeting = {
            cell: close
            for cell, source in taken.items()
            if self.tasks[cell[1]].finals
            if len(close := contenders(found(ended[source]), self.tasks[source[1]].tuned_on)) > 1
        }
        if meeting:
            compared = {cell: choices.pop(cell) for cell in meeting}
            last = self.tuning_runs(tier, meeting)
            yield Phase("tuning, finals", last, dict(choices))
            for cell, before in compared.items():
                choice = choose([], found(run for run in last if run.cell == cell), self.tasks[cell[1]].tuned_on)
                if choice is not None:
                    choices[cell] = replace(choice, further=before.further)
        rates = {cell: choice.rate for cell, choice in choices.items()}
        yield Phase("verdict", self.verdict_runs(tier, rates, further), choices)

    def is_halving(self, tier: str) -> bool:
        """Whether rates are dropped after a share of the steps: where there are more than go to the end."""
        return len(self.sizes(tier).rates) > FINALISTS

    def tuning_runs(
        self, tier: str, rates: Mapping[Cell, Sequence[float]] | None = None, begin: bool = False
    ) -> list[PlannedRun]:
        """Runs at these rates, of the grid where none are given; with ``begin`` for a share of their steps."""
        rates = dict.fromkeys(self.tuned_cells(tier), self.sizes(tier).rates) if rates is None else rates
        seeds = self.sizes(tier).tuning_seeds
        return [
            self._run(tier, cell, "tuning", rate, seed, SHARE if begin else 1)
            for cell in rates
            for rate in rates[cell]
            for seed in seeds
        ]

    def verdict_runs(self, tier: str, chosen: Mapping[Cell, float], further: Collection[Cell] = ()) -> list[PlannedRun]:
        """Runs on fresh seeds at the chosen rates, and measurements of cost; trained cells without a rate have none."""
        sizes = self.sizes(tier)
        rates: dict[Cell, float | None] = dict(chosen)
        rates |= {cell: None for cell in self.cells(tier) if self.tasks[cell[1]].measure == "cost"}
        return [
            self._run(tier, cell, "verdict", rates[cell], seed)
            for cell in self.cells(tier)
            if cell in rates
            for seed in (*sizes.verdict_seeds, *(sizes.further_seeds if cell in further else ()))
        ]

    def _rest(self, begun: PlannedRun) -> PlannedRun:
        settings = {key: value for key, value in begun.settings.items() if key != "train.until"}
        return replace(begun, settings=settings, begun=begun)

    def _run(self, tier: str, cell: Cell, role: str, rate: float | None, seed: int, share: float = 1) -> PlannedRun:
        trained = {} if rate is None else {"train.rate": rate}
        until = {} if share == 1 else {"train.until": share}
        settings = {**self.settings(tier, cell), **trained, **until, "seed": seed, **self.changes}
        return PlannedRun(self.name, tier, *cell, role, rate, seed, settings)


def names() -> list[str]:
    """All declared experiments, by file name."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str, folder: Path | None = None) -> Experiment:
    """The experiment declared in ``<folder>/<name>.yaml``, of ``conf/experiment`` when no folder is given."""
    path = (folder or FOLDER) / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean experiment={close[0]}? " if close else ""
        raise ValueError(f"no experiment {name!r}; {hint}there are {', '.join(names())}")
    declaration = yamls.read(path)
    if not isinstance(declaration, Mapping) or declaration.get("name") != name:
        raise ValueError(f"{path.name}: its name must be {name!r}, as its file's")
    return Experiment(declaration, path.name)


def refuse_single(name: str) -> None:
    """Says how a declared experiment is launched. Raises ``ValueError`` always: without ``-m`` it would be ignored."""
    if name != "all":
        load(name)
    raise ValueError(f"experiment={name} declares a sweep of many runs: launch it with python run.py -m experiment={name}")


def _value(value: Any) -> str:
    """A value in Hydra's override grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ",".join(_value(item) for item in value) + "]"
    return str(value)
