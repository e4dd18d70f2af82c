"""Holds records against a declaration: what is there, missing or stale, and which rates were chosen.

Rules that choose look at validation scores of tuning seeds only; what is reported comes from the verdict seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from study.experiments import Choice, Experiment, PlannedRun, choose_rate
from study.metrics import METRICS
from study.records import Record

Cell = tuple[str, str]  # (arm, task)


@dataclass
class Study:
    """One experiment at one tier. Records keep their status: a diverged or failed run has its place in its cell."""

    experiment: Experiment
    tier: str
    choices: dict[Cell, Choice] = field(default_factory=dict)
    tuning: dict[Cell, list[Record]] = field(default_factory=dict)
    verdict: dict[Cell, dict[int, Record]] = field(default_factory=dict)
    planned: list[PlannedRun] = field(default_factory=list)
    missing: list[PlannedRun] = field(default_factory=list)
    untuned: list[Cell] = field(default_factory=list)  # no rate could be chosen, so no verdict run is planned yet
    stale: list[Record] = field(default_factory=list)  # answer another question than the declaration asks
    planned_seeds: tuple[int, ...] = ()  # for verdicts: the declared ones, with the further ones once any of them is there

    @property
    def records(self) -> list[Record]:
        """All counted records."""
        tuning = [record for found in self.tuning.values() for record in found]
        return tuning + [record for seeds in self.verdict.values() for record in seeds.values()]

    @property
    def trained_tasks(self) -> list[str]:
        """Tasks of the tier on which models are trained; on the others (``measure: cost``) a layer is measured."""
        return [task for task in self.experiment.sizes(self.tier).tasks if self.is_trained(task)]

    @property
    def cost_tasks(self) -> list[str]:
        return [task for task in self.experiment.sizes(self.tier).tasks if not self.is_trained(task)]

    def is_trained(self, task: str) -> bool:
        return self.experiment.tasks[task].measure == "training"

    def with_status(self, status: str) -> list[Record]:
        return [record for record in self.records if record["status"] == status]

    def seeds(self, cell: Cell) -> dict[int, Record]:
        """Verdict records of a cell that finished or diverged, by seed; failed ones say nothing about the arm."""
        return {seed: r for seed, r in self.verdict.get(cell, {}).items() if r["status"] != "failed"}

    def all_runs(self, cell: Cell) -> dict[tuple[str, float, int], Record]:
        """Records of a cell, tuning runs at every rate and verdict runs, that finished or diverged.

        Their keys pair them across arms: role, rate (0 for verdict runs, whose rate is each arm's own) and seed.
        """
        found = {("tuning", r["plan"]["rate"], r["plan"]["seed"]): r for r in self.tuning.get(cell, [])}
        found |= {("verdict", 0.0, seed): record for seed, record in self.verdict.get(cell, {}).items()}
        return {key: record for key, record in found.items() if record["status"] != "failed"}

    def gaps(self) -> list[str]:
        """What stands between this study and a complete one, a line each."""
        failed = [f"failed: {record['name']}: {record['error']}" for record in self.with_status("failed")]
        missing = [f"missing: {r.task}, {r.arm}, {r.role}, rate {r.rate}, seed {r.seed}" for r in self.missing]
        untuned = [f"no rate yet: {task}, {arm}" for arm, task in self.untuned]
        return [*failed, *missing, *untuned, *(f"stale: {record['name']}" for record in self.stale)]

    def summary(self) -> str:
        waiting = len(self.untuned) * len(self.planned_seeds)
        counts = {
            "planned": len(self.planned) + waiting,
            "finished": len(self.with_status("finished")),
            "diverged": len(self.with_status("diverged")),
            "failed": len(self.with_status("failed")),
            "missing": len(self.missing) + waiting,
            "stale": len(self.stale),
        }
        return ", ".join(
            f"{count} {word}" for word, count in counts.items() if count or word in ("planned", "finished", "missing")
        )


def arrange(experiment: Experiment, tier: str, records: Iterable[Record]) -> Study:
    """Lay the records of one tier beside the declaration, in the order in which the sweep goes.

    That is: tuning, one step past an edge where the best rate lies on it, verdict.
    """
    study = Study(experiment, tier)
    own = [record for record in records if record["plan"]["experiment"] == experiment.name]
    by_run = {_key(record): record for record in own}

    def take(runs: Sequence[PlannedRun]) -> list[tuple[PlannedRun, Record]]:
        study.planned += runs
        found = []
        for run in runs:
            trained = experiment.tasks[run.task].measure
            record = by_run.pop((run.role, run.arm, run.task, run.rate, run.seed, run.digest, trained), None)
            if record is None:
                study.missing.append(run)
            else:
                found.append((run, record))
        return found

    def tune(runs: Sequence[PlannedRun]) -> None:
        for run, record in take(runs):
            study.tuning.setdefault(run.cell, []).append(record)
        study.choices = chosen_rates(study)

    tune(experiment.tuning_runs(tier))
    further = {cell: choice.further for cell, choice in study.choices.items() if choice.further is not None}
    tune(experiment.extension_runs(tier, further))
    rates = {cell: choice.rate for cell, choice in study.choices.items()}
    sizes = experiment.sizes(tier)
    more = any(r["plan"]["role"] == "verdict" and r["plan"]["seed"] in sizes.further_seeds for r in own)
    study.planned_seeds = (*sizes.verdict_seeds, *(sizes.further_seeds if more else ()))
    for run, record in take(experiment.verdict_runs(tier, rates, more)):
        study.verdict.setdefault(run.cell, {})[run.seed] = record
    study.untuned = [cell for cell in experiment.cells(tier) if cell not in rates and study.is_trained(cell[1])]
    study.stale = list(by_run.values())
    return study


def chosen_rates(study: Study) -> dict[Cell, Choice]:
    """The rule that the sweep uses, on the same records: ``study.experiments.choose_rate``."""
    choices = {
        cell: choose_rate(runs, study.experiment.tasks[cell[1]].tuned_on, study.experiment.extend_rates)
        for cell, runs in study.tuning.items()
    }
    return {cell: choice for cell, choice in choices.items() if choice is not None}


def best_arm(study: Study, task: str, arms: Sequence[str]) -> str | None:
    """The arm with the best mean validation score on tuning seeds, each at its chosen rate; None unless all have it.

    At equal scores the first named wins.
    """
    metric = study.experiment.tasks[task].tuned_on
    scores = []
    for arm in arms:
        choice = study.choices.get((arm, task))
        score = None if choice is None else choice.curve.get(choice.rate)
        if score is None:
            return None
        scores.append(METRICS[metric].sign * score)
    return arms[scores.index(max(scores))]


def _key(record: Record) -> tuple:
    plan = record["plan"]
    measure = record["config"].get("measure", "training")
    return plan["role"], plan["arm"], plan["task"], plan["rate"], plan["seed"], plan["digest"], measure
