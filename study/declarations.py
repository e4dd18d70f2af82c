"""What ``conf/experiment/*.yaml`` declares: arms, tasks, and the sizes of each tier. Which runs follow: ``study.experiments``.

A declaration holds Hydra override keys only, so that every planned run is also a plain command line.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

from study import yamls
from study.metrics import METRICS

FOLDER = Path(__file__).parent.parent / "conf" / "experiment"
PROTOCOL = FOLDER.parent / "protocol.yaml"  # learning rates and seeds by tier, where an experiment says no other
TIERS = ("smoke", "core", "full")
STEPS = 1000  # at most, where a config gives no other number
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
    rate_of: str | None = None  # the task, with or without verdicts, on which an arm's rate is chosen, where it isn't this
    finals: bool = False  # where two rates are close on that task, both are trained here to the end
    cap: str = ""  # why it is trained for so many steps at most

    @property
    def tuned_on(self) -> str:
        return self.validated or self.metric


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


class Declaration:
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
        return f"{type(self).__name__}({self.name!r})"

    def narrowed(
        self,
        arms: Iterable[str] = (),
        tasks: Iterable[str] = (),
        changes: Settings | None = None,
        seeds: Sequence[int] = (),
    ) -> Self:
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
            if both := sorted(set(sizes.tuning_seeds) & set(seeds)):
                raise ValueError(f"sweep.seeds: {both} choose learning rates in the {tier} tier of {self.name}; take others")
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

    def _arm(self, name: str, node: Mapping[str, Any]) -> Arm:
        self._refuse_unknown(node, {"label", "set", "differs", "tags"}, f"arms.{name}")
        return Arm(name, node.get("label", name), dict(node.get("set", {})), node.get("differs", ""), node.get("tags", {}))

    def _task(self, name: str, node: Mapping[str, Any]) -> TaskVariant:
        known = {"label", "set", "arms", "metric", "margin", "measure", "target", "validated", "rate_of", "finals", "cap"}
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
            finals=node.get("finals", False),
            cap=node.get("cap", ""),
        )

    def _check_rate_of(self, task: TaskVariant) -> None:
        if task.rate_of is None:
            if task.finals:
                raise ValueError(f"{self.source}: tasks.{task.name}.finals: goes with rate_of alone; leave it out")
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
    return yamls.read(PROTOCOL)
