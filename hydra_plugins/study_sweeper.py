"""Connects ``study.sweeping`` to Hydra: ``python run.py -m experiment=NAME`` carries out a declared experiment.

Without ``experiment=`` it is Hydra's own basic sweeper. Imported at every start, so nothing heavy stands at the top.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class StudySweeperConf:
    _target_: str = "hydra_plugins.study_sweeper.StudySweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


class StudySweeper(BasicSweeper):
    """Hydra's basic sweeper, which also knows declared experiments."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        from study.composing import Composer

        self.hydra_context: HydraContext = hydra_context
        self._compose = Composer(self._load)
        workers = getattr(self.launcher, "joblib", None)  # joblib's settings, if it is the launcher
        if workers is not None:
            from study import interrupts

            workers["initializer"] = interrupts.end_with_launcher

    def sweep(self, arguments: list[str]) -> Any:
        overrides = OverridesParser.create().parse_overrides(arguments)
        from study import composing

        asked = composing.asked(overrides)
        if asked is None:
            return self._grid(arguments, [job for batch in self.split_arguments(overrides, None) for job in batch])

        from study.sweeping import Sweep

        sweep = Sweep(*asked, self._compose, self._launch)
        if code := sweep.run():
            sys.exit(code)
        return None

    def _grid(self, arguments: list[str], jobs: list[list[str]]) -> Any:
        from rich.console import Console

        from study.grid import Grid
        from study.help import page_of
        from study.progress import Display

        configs = self._check(jobs)
        from study.training.tracking import reach

        reach(configs[0])
        display, grid = Display(), Grid(jobs, configs)
        with display.shown(), display.watching(grid.look):
            batches = super().sweep(arguments)
        outcomes = [job.return_value for batch in batches for job in batch]
        Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(grid.table(outcomes))
        print(f"page: {page_of(Path(configs[0].runs))}")
        if failed := [outcome.name for outcome in outcomes if outcome.state != "finished"]:
            sys.exit("not finished: " + ", ".join(failed))
        return batches

    def _check(self, jobs: list[list[str]]) -> list[DictConfig]:
        """The configs of a grid; refuses one with an invalid run before any run starts."""
        from study import schema

        configs = [self._compose(job) for job in jobs]
        for config in configs:
            schema.check(config)
        schema.check_folder(configs[0])
        from study.training.build import validate  # brings torch along

        for config in configs:
            validate(config)
        return configs

    def validate_batch_is_legal(self, batch: Any) -> None:
        """``_check`` has composed them all."""

    def _load(self, overrides: list[str]) -> DictConfig:
        from omegaconf import open_dict

        assert self.config is not None
        config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            del config["hydra"]
        return config

    def _launch(self, jobs: list[list[str]]) -> Any:
        assert self.launcher is not None
        returns = self.launcher.launch(jobs, initial_job_idx=0)
        return [job._return_value for job in returns]  # return_value would raise what a job raised, and end the sweep


ConfigStore.instance().store(group="hydra/sweeper", name="study", node=StudySweeperConf, provider="attention-study")
