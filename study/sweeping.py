"""Carries out declared experiments phase by phase (``Experiment.phases``), and skips the runs that have their record.

Knows nothing of Hydra's launchers: it is given one function that composes a config and one that launches a batch of them.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from study import interrupts, records, schema
from study.declarations import Cell
from study.experiments import Experiment, Phase, PlannedRun
from study.forecast import Outlook
from study.progress import Display, Files, State, duration, written

Compose = Callable[[list[str]], DictConfig]
Launch = Callable[[list[list[str]]], Sequence[Any]]  # overrides of each run -> the outcome of each, or what it raised

# Overrides that say where and how runs are made, not what they are: they make no run another one.
FREE = ("trainer", "tracking", "runs", "data", "sweep", "retry_failed", "hydra")


@dataclasses.dataclass
class Job:
    """A planned run with what it takes to launch it and to find its record."""

    run: PlannedRun
    name: str
    overrides: list[str]


class BrokenOff(Exception):
    """The launcher gave up: a worker was killed, a node went away, a job was cancelled, a cluster can't be reached."""


class Sweep:
    """One launch of one or several experiments at one tier.

    ``overrides`` are the user's own, by key: free ones go to every run as they are; others change what is asked for, so
    their runs stand apart from the declared ones and no verdict counts them.
    """

    def __init__(
        self,
        declared: Sequence[Experiment],
        tier: str,
        overrides: Mapping[str, str],
        compose: Compose,
        launch: Launch,
        console: Console | None = None,
    ):
        self.tier = tier
        self.free = {k: v for k, v in overrides.items() if k.split(".")[0] in FREE}
        self.departures = {k: v for k, v in overrides.items() if k not in self.free}
        self.compose = compose
        self.launch = launch
        self.display = Display(console)
        self.read: dict[Path, tuple[int | None, records.Record | None]] = {}  # records, each with when it was written
        self.jobs: dict[PlannedRun, Job] = {}
        self.cells: dict[tuple[str, str, str], DictConfig] = {}
        self.recorded: dict[PlannedRun, records.Record | None] = {}  # of the phases so far
        self.reasons: dict[PlannedRun, str] = {}  # why one has no record
        probe = compose([f"tier={tier}", *self._free_overrides()])
        schema.check_folder(probe)
        self.folder = Path(probe.runs)
        self.retry_failed: bool = probe.retry_failed
        self.keep_weights: bool = probe.trainer.keep_weights
        self.narrow = probe.sweep
        self._refuse_contradictions(declared)
        narrow = (self.narrow.arms, self.narrow.tasks, self.departures, self.narrow.seeds)
        self.experiments = [experiment.narrowed(*narrow) for experiment in declared]
        self.committed = self._committed() if self.narrow.committed else {}

    def run(self) -> int:
        """Carry it out; returns the exit code: 0 when every planned run is finished or declared diverged, else 1."""
        self.started = time.monotonic()
        self._prepare()
        state = "done"
        with interrupts.orderly(), self.display.shown():
            try:
                for phases in self._phases():
                    self._carry_out(phases)
            except KeyboardInterrupt:
                state = "interrupted; the same command goes on"
            except BrokenOff as error:
                state = f"broken off ({error}); the same command goes on"
            else:
                self._clear()
        return self._summary(time.monotonic() - self.started, state)

    def due(self) -> tuple[str, list[Job]]:
        """The first phase that has runs to make, and these. Launches nothing; none where all have their record."""
        self._prepare()
        for phases in self._phases():
            jobs, left = self._split(phases)
            if left:
                return phases[0].name, left
            self.recorded |= {job.run: self._record(job) for job in jobs}
        return "", []

    def _phases(self) -> Iterator[list[Phase]]:
        """The phases of all experiments beside each other; those that follow depend on ``recorded``."""
        further = {e.name: e.cells(self.tier) if self.narrow.further_seeds else () for e in self.experiments}
        plans = [e.phases(self.tier, self.recorded.get, further[e.name]) for e in self.experiments]
        for phases in zip_longest(*plans):
            yield [phase for phase in phases if phase]

    def _prepare(self) -> None:
        """Compose and validate each cell before anything is trained; first what needs no torch."""
        for experiment in self.experiments:
            rates = dict.fromkeys(experiment.cells(self.tier), experiment.sizes(self.tier).rates[0])
            for run in (*experiment.verdict_runs(self.tier, rates), *experiment.tuning_runs(self.tier)):
                key = (experiment.name, *run.cell)
                if key not in self.cells:
                    self.cells[key] = self.compose(self._overrides(run))
                    self._check(key, schema.check)
        self.outlook = Outlook(self.experiments, self.tier, self.narrow.further_seeds, lambda run: self._record(self._job(run)))
        self.outlook.begin(lambda run: self._is_done(self._job(run)))
        self.display.say(self.outlook.words())

        from study.training.build import validate
        from study.training.tracking import check_key, reach

        for key, config in self.cells.items():
            self._check(key, validate)
            check_key(config)
        if self.cells:
            reach(config)

    def _check(self, cell: tuple[str, str, str], check: Callable[[DictConfig], Any]) -> None:
        try:
            check(self.cells[cell])
        except (ValueError, OSError) as error:
            experiment, arm, task = cell
            without = f"; or leave {task} out by sweep.tasks=[...]" if isinstance(error, OSError) else ""
            raise ValueError(f"{experiment}, arm {arm}, task {task}: {error}{without}") from None

    def _carry_out(self, phases: Sequence[Phase]) -> None:
        """Launch the runs without a record. Those that another launch holds are launched last, and waited for.

        A cell of which a run of an earlier phase has no record has to wait: what comes next depends on all of them. So does one
        that takes its learning rate.
        """
        jobs, left = self._split(phases)
        self.outlook.expect()
        try:
            with self.display.watching(self._look(phases[0].name, left)):
                left = self._launch(left, ["sweep.wait=false"])
                self._launch(left, ["sweep.wait=true", "retry_failed=false"])
        finally:
            self.recorded |= {job.run: self._record(job) for job in jobs}

    def _split(self, phases: Sequence[Phase]) -> tuple[list[Job], list[Job]]:
        """The runs of the phases that needn't wait, and those of them that have no record."""
        waiting = {(run.experiment, run.cell) for run, record in self.recorded.items() if record is None}
        runs = [
            run for phase in phases for run in phase.runs if not waiting & {(run.experiment, cell) for cell in self._needs(run)}
        ]
        jobs = [self._job(run) for run in runs]
        return jobs, [job for job in jobs if not self._is_done(job)]

    def _look(self, phase: str, jobs: list[Job]) -> Callable[[], State]:
        """What tells how far the sweep is, while these of its runs are made."""
        paths = {self.folder / job.name / records.NAME: job for job in jobs}
        files = Files(list(paths))

        def look() -> State:
            for path in files.new():
                self.outlook.made(paths[path].run, self._record(paths[path]))
            return self.outlook.state(phase)

        return look

    def _needs(self, run: PlannedRun) -> set[Cell]:
        return {run.cell, self._experiment(run).tuned(run.cell)}

    def _launch(self, jobs: list[Job], how: list[str]) -> list[Job]:
        """Launch them as one batch; returns those that another launch holds."""
        try:
            outcomes = self.launch([[*job.overrides, *how] for job in jobs]) if jobs else []
        except Exception as error:
            raise BrokenOff(f"{type(error).__name__}: {error}".splitlines()[0]) from error
        elsewhere = []
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self.reasons[job.run] = f"{type(outcome).__name__}: {outcome}"
            elif outcome.state == "elsewhere":
                elsewhere.append(job)
            elif outcome.record is None:
                self.reasons[job.run] = outcome.error
        return elsewhere

    def _is_done(self, job: Job) -> bool:
        record = self._record(job)
        if record is None or (self.retry_failed and record["status"] != "finished"):
            return False
        keeps = self.keep_weights and record["status"] == "finished" and job.run.rate is not None
        return not keeps or (self.folder / job.name / records.WEIGHTS).exists()

    def _record(self, job: Job) -> records.Record | None:
        path = self.folder / job.name / records.NAME
        when, record = written(path), None
        if self.read.get(path, (None,))[0] != when:
            try:
                record = records.read(path, job.name)
            except records.RecordError as error:
                self.reasons[job.run] = str(error)
            except OSError:
                pass
            self.read[path] = when, record
        return self.read.get(path, (None, None))[1] or self.committed.get(job.run.digest)

    def _committed(self) -> dict[str, records.Record]:
        """Committed records of these experiments, by digest."""
        paths = [records.committed(self.tier, experiment.name) for experiment in self.experiments]
        committed = [record for path in paths if path.exists() for record in records.load_lines(path)]
        return {r["plan"]["digest"]: r for r in committed if not isinstance(r, records.RecordError)}

    def _job(self, run: PlannedRun) -> Job:
        if run not in self.jobs:
            self.jobs[run] = self._make_job(run)
        return self.jobs[run]

    def _make_job(self, run: PlannedRun) -> Job:
        config = self.cells[(run.experiment, *run.cell)]
        if run.rate is not None:
            OmegaConf.update(config, "train.rate", run.rate)
        OmegaConf.update(config, "seed", run.seed)
        OmegaConf.update(config, "origin.role", run.role)
        OmegaConf.update(config, "train.until", run.settings.get("train.until", 1.0))
        name, overrides = schema.name(config), self._overrides(run)
        if run.begun:
            overrides.append(f"trainer.goes_on_from={self._job(run.begun).name}")
        return Job(run, name, overrides)

    def _overrides(self, run: PlannedRun) -> list[str]:
        experiment = self._experiment(run)
        origin = {
            "experiment": run.experiment,
            "arm": run.arm,
            "task": run.task,
            "role": run.role,
            "claims": f"[{','.join(experiment.claims)}]",
            "digest": f"'{run.digest}'",  # quoted: a digest of digits alone is no number
        }
        return [*run.overrides, *(f"origin.{k}={v}" for k, v in origin.items()), *self._free_overrides()]

    def _experiment(self, run: PlannedRun) -> Experiment:
        return next(e for e in self.experiments if e.name == run.experiment)

    def _free_overrides(self) -> list[str]:
        return [f"{key}={value}" for key, value in self.free.items()]

    def _refuse_contradictions(self, declared: Sequence[Experiment]) -> None:
        for experiment in declared:
            axes = {"seed", "train.rate"}
            for arm in experiment.arms.values():
                axes |= arm.settings.keys()
            for task in experiment.tasks.values():
                axes |= task.settings.keys()
            if taken := axes & self.departures.keys():
                raise ValueError(
                    f"{', '.join(sorted(taken))} belongs to what experiment {experiment.name} varies; narrow the sweep "
                    f"with sweep.arms=[...] or sweep.tasks=[...], or edit conf/experiment/{experiment.name}.yaml"
                )
        if self.narrow.seeds and self.narrow.further_seeds:
            raise ValueError("sweep.further_seeds adds declared seeds, and sweep.seeds stands in their place; use one of them")
        for what in ("arms", "tasks"):
            known = {name for experiment in declared for name in getattr(experiment, what)}
            if unknown := set(self.narrow[what]) - known:
                raise ValueError(f"sweep.{what}: no {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
        if not any(experiment.narrowed(self.narrow.arms, self.narrow.tasks).cells(self.tier) for experiment in declared):
            raise ValueError(f"none of sweep.arms meets any of sweep.tasks in the {self.tier} tier; launch more of either")

    def _clear(self) -> None:
        """Remove the checkpoints of rates that were dropped: nothing goes on from them."""
        for run, record in self.recorded.items():
            if record is not None and "train.until" in run.settings:
                (self.folder / record["name"] / records.CHECKPOINT).unlink(missing_ok=True)

    def _summary(self, seconds: float, state: str) -> int:
        missing = [run for run, record in self.recorded.items() if record is None]
        ended = [record for record in self.recorded.values() if record is not None]
        finished, diverged, failed = ([r for r in ended if r["status"] == status] for status in records.STATUSES)
        say = self.display.say
        say(
            f"{state}: {len(finished)} finished, {len(diverged)} diverged, {len(failed)} failed, {len(missing)} without a "
            f"record, in {duration(seconds)}"
        )
        for record in [*diverged, *failed]:
            say(f"  {record['status']}: {record['name']}: {record['error']}")
        for reason, count in Counter(self.reasons[run] for run in missing if run in self.reasons).items():
            say(f"  {count} not recorded: {reason}")
        if failed or diverged:
            say("  retry_failed=true trains these again")
        if missing and state == "done":
            say("  launch again for the runs without a record")
        say(f"records: {self.folder}; verdicts: python -m analysis --tier {self.tier} --source {self.folder}")
        return 0 if state == "done" and not failed and not missing else 1
