"""Connects ``study.sweeping`` to Hydra: ``python run.py -m experiment=NAME`` carries out a declared experiment.

Without ``experiment=`` it is Hydra's own basic sweeper. Imported at every start, so nothing heavy stands at the top.
"""

import sys
from dataclasses import dataclass
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
        named = [o for o in overrides if o.key_or_group == "experiment" and o.value() is not None]
        if not named:
            self._check([job for batch in self.split_arguments(overrides, None) for job in batch])
            from study.training.tracking import reach

            assert self.config is not None
            reach(self.config)
            outcomes = super().sweep(arguments)
            failed = [job.return_value.name for batch in outcomes for job in batch if job.return_value.state != "finished"]
            if failed:
                sys.exit("not finished: " + ", ".join(failed))
            return outcomes

        from study import experiments
        from study.sweeping import Sweep

        names = [str(n) for n in (named[-1].sweep_iterator() if named[-1].is_sweep_override() else [named[-1].value()])]
        if names == ["all"]:
            names = experiments.names()
        rest = [o for o in overrides if o.key_or_group not in ("experiment", "tier")]
        if axes := [o.input_line for o in rest if o.is_sweep_override()]:
            raise ValueError(
                f"{', '.join(map(str, axes))}: an experiment declares its axes; give single values beside it, a list as [a,b]"
            )
        tier = next((str(o.value()) for o in reversed(overrides) if o.key_or_group == "tier"), "core")
        given = {o.get_key_element().lstrip("+"): o.get_value_string() for o in rest}
        sweep = Sweep([experiments.load(name) for name in names], tier, given, self._compose, self._launch)
        if code := sweep.run():
            sys.exit(code)
        return None

    def _check(self, jobs: list[list[str]]) -> None:
        """Refuse a grid with an invalid run before any run starts."""
        from study import schema

        configs = [self._compose(job) for job in jobs]
        for config in configs:
            schema.check(config)
        schema.check_folder(configs[0])
        from study.training.build import validate  # brings torch along

        for config in configs:
            validate(config)

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
