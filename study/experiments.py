"""Experiments as declared in ``conf/experiment/*.yaml``: their arms, tasks, learning rates and seeds, and their runs.

``Experiment.phases`` alone says which runs follow which. The sweep launches them (``study.sweeping``), the analysis matches
records to them (``analysis.results``). A declaration holds Hydra override keys only, so that every planned run is also a plain
command line.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from study.choosing import EXTENSIONS, FINALISTS, Choice, choose, finalists, is_over
from study.metrics import METRICS

FOLDER = Path(__file__).parent.parent / "conf" / "experiment"
PROTOCOL = FOLDER.parent / "protocol.yaml"  # learning rates and seeds by tier, where an experiment says no other
TIERS = ("smoke", "core", "full")
STEPS = 1000  # at most, where a config gives no other number
SHARE = 0.333  # of the steps, after which the rates of a cell are compared and all but the finalists dropped
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # of experiments, arms and tasks: usable in a file name

Settings = dict[str, Any]  # override key -> value, e.g. {"mixer": "attention", "mixer.heads": 4}
Cell = tuple[str, str]  # (arm, task)


@dataclass(frozen=True)
class Arm:
    """One side of a comparison: what it sets, and what can't be matched to the others (``differs``)."""

    name: str
    label: str
    settings: Settings
    differs: str = ""
    tags: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskVariant:
    """A task as one experiment uses it; ``arms`` are the arms that meet it."""

    name: str
    label: str
    settings: Settings
    arms: tuple[str, ...]
    metric: str
    margin: float | None  # None: that of the metric
    measure: str = "training"  # training | cost: nothing is trained, so there is no learning rate to tune
    target: float | None = None  # a validation score: what it took to reach it is compared
    validated: str | None = None  # the validation score that learning rates are chosen by, where it isn't the metric
    rate_of: str | None = None  # the task on which an arm's learning rate is chosen, where it isn't this one
    cap: str = ""  # why it is trained for so many steps at most

    @property
    def tuned_on(self) -> str:
        return self.validated or self.metric


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


@dataclass(frozen=True)
class Sizes:
    """An experiment's sizes in one tier. Seeds of the two roles are disjoint.

    ``further_seeds`` are declared in advance for verdicts that ``verdict_seeds`` leave open, and run only when asked for.
    """

    settings: Settings
    task_settings: Mapping[str, Settings]
    rates: tuple[float, ...]
    tuning_seeds: tuple[int, ...]
    verdict_seeds: tuple[int, ...]
    further_seeds: tuple[int, ...]
    arms: tuple[str, ...]
    tasks: tuple[str, ...]


class Experiment:
    """One file of ``conf/experiment``. Raises ``ValueError`` naming the file and the fix where the declaration contradicts
    itself. ``protocol`` is what tiers inherit, where that isn't what ``conf/protocol.yaml`` says."""

    KEYS = {"name", "title", "question", "claims", "matching", "base", "arms", "tasks", "tiers", "figure"}

    def __init__(
        self,
        declaration: Mapping[str, Any],
        source: str = "experiment",
        protocol: Mapping[str, Mapping[str, Any]] | None = None,
    ):
        self.source = source
        self._refuse_unknown(declaration, self.KEYS, "")
        self.name: str = declaration["name"]
        self.title: str = declaration["title"]
        self.question: str = declaration["question"]
        self.claims: tuple[str, ...] = tuple(declaration["claims"])
        self.matching: str = declaration.get("matching", "")
        self.figure: Mapping[str, Any] = declaration.get("figure", {})
        self.base: Settings = dict(declaration.get("base", {}))
        self.changes: Settings = {}  # put on top of every run: see ``narrowed``
        self.arms = {name: self._arm(name, node) for name, node in declaration["arms"].items()}
        self.tasks = {name: self._task(name, node) for name, node in declaration["tasks"].items()}
        for task in self.tasks.values():
            self._check_rate_of(task)
        inherited = _protocol() if protocol is None else protocol
        self.tiers = {name: self._sizes(name, node, inherited.get(name, {})) for name, node in declaration["tiers"].items()}
        if unfit := [name for name in (self.name, *self.arms, *self.tasks) if not NAME.fullmatch(str(name))]:
            raise ValueError(f"{source}: the name {unfit[0]!r} must be of letters, digits and _ . - alone, as files bear it")

    def __repr__(self) -> str:
        return f"Experiment({self.name!r})"

    def phases(self, tier: str, record_of: RecordOf, further: Collection[Cell] = ()) -> Iterator[Phase]:
        """The runs of a tier, phase by phase: the next phase is asked for when ``record_of`` knows the runs of this one.

        Tuning trains every rate of the grid for a share of the steps, then the finalists to the end. Where the best rate lies
        on an edge, the rate beyond it goes the same way, ``EXTENSIONS`` times at most. Verdict runs follow, on seeds of their
        own at the chosen rates, those of the cells ``further`` on the further seeds too. A cell without any rate has none.
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
        choices = {cell: choices[source] for cell in self.cells(tier) if (source := self.tuned(cell)) in choices}
        rates = {cell: choice.rate for cell, choice in choices.items()}
        yield Phase("verdict", self.verdict_runs(tier, rates, further), choices)

    def is_halving(self, tier: str) -> bool:
        """Whether rates are dropped after a share of the steps: where there are more than go to the end."""
        return len(self.sizes(tier).rates) > FINALISTS

    def narrowed(
        self,
        arms: Iterable[str] = (),
        tasks: Iterable[str] = (),
        changes: Settings | None = None,
        seeds: Sequence[int] = (),
    ) -> Experiment:
        """These arms and tasks alone (all of them, where none is named), and every run with ``changes``: another run then.

        With ``seeds`` verdict runs are on these. Raises ``ValueError`` where one of them serves tuning.
        """
        narrow = copy.copy(self)
        narrow.changes = {**self.changes, **(changes or {})}
        arms, tasks = set(arms) or self.arms.keys(), set(tasks) or self.tasks.keys()
        narrow.tiers = {
            tier: replace(
                sizes,
                arms=tuple(arm for arm in sizes.arms if arm in arms),
                tasks=tuple(task for task in sizes.tasks if task in tasks),
                verdict_seeds=tuple(seeds) or sizes.verdict_seeds,
                further_seeds=() if seeds else sizes.further_seeds,
            )
            for tier, sizes in self.tiers.items()
        }
        for tier, sizes in narrow.tiers.items():
            self._keep_apart(tier, sizes)
        return narrow

    def cells(self, tier: str) -> list[Cell]:
        """(arm, task) pairs of a tier, in the order of the declaration."""
        sizes = self.sizes(tier)
        return [(arm, task) for task in sizes.tasks for arm in self.tasks[task].arms if arm in sizes.arms]

    def sizes(self, tier: str) -> Sizes:
        if tier not in self.tiers:
            raise ValueError(f"{self.source}: no tier {tier!r}; it declares {', '.join(self.tiers)}")
        return self.tiers[tier]

    def tuned_cells(self, tier: str) -> list[Cell]:
        """Cells whose learning rate is tuned: all on which models are trained, or those that stand for them (``rate_of``)."""
        trained = [cell for cell in self.cells(tier) if self.tasks[cell[1]].measure == "training"]
        return list(dict.fromkeys(map(self.tuned, trained)))

    def tuned(self, cell: Cell) -> Cell:
        """The cell whose learning rate this one takes."""
        arm, task = cell
        return arm, self.tasks[task].rate_of or task

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

    def settings(self, tier: str, cell: Cell) -> Settings:
        """All overrides of a cell but its rate and seed. Base, tier, task, the tier's word on the task, arm: later ones win."""
        arm, task = cell
        sizes = self.sizes(tier)
        merged = {
            "tier": tier,
            **self.base,
            **sizes.settings,
            **self.tasks[task].settings,
            **sizes.task_settings.get(task, {}),
            **self.arms[arm].settings,
        }
        groups = [key for key in merged if "." not in key]  # a group is chosen before its keys are set
        return {key: merged[key] for key in [*groups, *(key for key in merged if "." in key)]}

    def _rest(self, begun: PlannedRun) -> PlannedRun:
        settings = {key: value for key, value in begun.settings.items() if key != "train.until"}
        return replace(begun, settings=settings, begun=begun)

    def _run(self, tier: str, cell: Cell, role: str, rate: float | None, seed: int, share: float = 1) -> PlannedRun:
        trained = {} if rate is None else {"train.rate": rate}
        until = {} if share == 1 else {"train.until": share}
        settings = {**self.settings(tier, cell), **trained, **until, "seed": seed, **self.changes}
        return PlannedRun(self.name, tier, *cell, role, rate, seed, settings)

    def _arm(self, name: str, node: Mapping[str, Any]) -> Arm:
        self._refuse_unknown(node, {"label", "set", "differs", "tags"}, f"arms.{name}")
        return Arm(name, node.get("label", name), dict(node.get("set", {})), node.get("differs", ""), node.get("tags", {}))

    def _task(self, name: str, node: Mapping[str, Any]) -> TaskVariant:
        known = {"label", "set", "arms", "metric", "margin", "measure", "target", "validated", "rate_of", "cap"}
        self._refuse_unknown(node, known, f"tasks.{name}")
        arms = tuple(node.get("arms", self.arms))
        self._refuse_unknown(dict.fromkeys(arms), set(self.arms), f"tasks.{name}.arms")
        settings = dict(node.get("set", {}))
        for arm in arms:
            if both := settings.keys() & self.arms[arm].settings.keys():
                raise ValueError(
                    f"{self.source}: task {name!r} and arm {arm!r} both set {', '.join(sorted(both))}; leave it to one of them"
                )
        measure = node.get("measure", "training")
        if measure not in ("training", "cost"):
            raise ValueError(f"{self.source}: tasks.{name}.measure={measure}: must be training or cost")
        metric = node.get("metric", "accuracy" if measure == "training" else "seconds")
        self._refuse_unknown(dict.fromkeys({metric, node.get("validated", metric)}), set(METRICS), f"tasks.{name}.metric")
        return TaskVariant(
            name=name,
            label=node.get("label", name),
            settings=settings if measure == "training" else {**settings, "measure": measure},
            arms=arms,
            metric=metric,
            margin=node.get("margin", 0.02 if measure == "training" else None),
            measure=measure,
            target=node.get("target"),
            validated=node.get("validated"),
            rate_of=node.get("rate_of"),
            cap=node.get("cap", ""),
        )

    def _check_rate_of(self, task: TaskVariant) -> None:
        if task.rate_of is None:
            return
        self._refuse_unknown({task.rate_of: None}, set(self.tasks), f"tasks.{task.name}.rate_of")
        source = self.tasks[task.rate_of]
        if source.rate_of is not None or source.measure != "training":
            raise ValueError(f"{self.source}: tasks.{task.name}.rate_of={source.name}: no rate is tuned there")
        if missing := [arm for arm in task.arms if arm not in source.arms]:
            raise ValueError(
                f"{self.source}: tasks.{task.name}.rate_of={source.name}: arm {missing[0]!r} does not meet that task"
            )

    def _sizes(self, tier: str, node: Mapping[str, Any], inherited: Mapping[str, Any]) -> Sizes:
        where = f"tiers.{tier}"
        known = {"set", "task_set", "rates", "tuning_seeds", "verdict_seeds", "further_seeds", "arms", "tasks"}
        self._refuse_unknown({tier: None}, set(TIERS), "tiers")
        self._refuse_unknown(node, known, where)
        node = {**inherited, **({"further_seeds": ()} if "verdict_seeds" in node else {}), **node}
        arms, tasks = tuple(node.get("arms", self.arms)), tuple(node.get("tasks", self.tasks))
        self._refuse_unknown(dict.fromkeys(arms), set(self.arms), f"{where}.arms")
        self._refuse_unknown(dict.fromkeys(tasks), set(self.tasks), f"{where}.tasks")
        task_settings = {name: dict(settings) for name, settings in node.get("task_set", {}).items()}
        self._refuse_unknown(task_settings, set(self.tasks), f"{where}.task_set")
        sizes = Sizes(
            settings=dict(node.get("set", {})),
            task_settings=task_settings,
            rates=tuple(float(rate) for rate in node["rates"]),
            tuning_seeds=tuple(node["tuning_seeds"]),
            verdict_seeds=tuple(node["verdict_seeds"]),
            further_seeds=tuple(node.get("further_seeds", ())),
            arms=arms,
            tasks=tasks,
        )
        for task in sizes.tasks:
            if (source := self.tasks[task].rate_of) and source not in sizes.tasks:
                raise ValueError(f"{self.source}: {where}.tasks: {task!r} takes its learning rates from {source!r}; add that")
        self._keep_apart(tier, sizes)
        if list(sizes.rates) != sorted(set(sizes.rates)):
            raise ValueError(f"{self.source}: {where}.rates must grow and not repeat, e.g. [0.001, 0.003, 0.01]")
        return sizes

    def _keep_apart(self, tier: str, sizes: Sizes) -> None:
        if both := set(sizes.tuning_seeds) & {*sizes.verdict_seeds, *sizes.further_seeds}:
            raise ValueError(f"{self.source}: tiers.{tier}: seeds {sorted(both)} serve tuning and verdict; keep them apart")

    def _refuse_unknown(self, node: Mapping[str, Any], known: set[str], where: str) -> None:
        if unknown := [key for key in node if key not in known]:
            place = f"{where}: " if where else ""
            raise ValueError(
                f"{self.source}: {place}unknown {', '.join(map(repr, unknown))}; known are {', '.join(sorted(known))}"
            )


@cache
def _protocol() -> Mapping[str, Mapping[str, Any]]:
    return OmegaConf.to_container(OmegaConf.load(PROTOCOL))  # type: ignore[return-value]


def names() -> list[str]:
    """All declared experiments, by file name."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str, folder: Path | None = None) -> Experiment:
    """The experiment declared in ``<folder>/<name>.yaml``, of ``conf/experiment`` when no folder is given."""
    path = (folder or FOLDER) / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean python run.py -m experiment={close[0]}? " if close else ""
        raise ValueError(f"no experiment {name!r}; {hint}there are {', '.join(names())}")
    declaration = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(declaration, dict)
    if declaration.get("name") != name:
        raise ValueError(f"{path.name}: its name must be {name!r}, as its file's")
    return Experiment(declaration, path.name)  # type: ignore[arg-type]


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
