"""Configs from overrides, as Hydra composes them, but quick where many are asked for: a sweep composes hundreds."""

import functools
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict

from study import experiments, parts, schema
from study.experiments import Experiment

CONF = Path(__file__).parent.parent / "conf"


def asked(overrides: Sequence[Override]) -> tuple[list[Experiment], str, dict[str, str]] | None:
    """Experiments, tier and all other overrides by key, of Hydra's parsed command line; None where it names no experiment.

    Raises ``ValueError`` where other keys have several values.
    """
    named = [o for o in overrides if o.key_or_group == "experiment" and o.value() is not None]
    if not named:
        return None
    names = [str(n) for n in (named[-1].sweep_iterator() if named[-1].is_sweep_override() else [named[-1].value()])]
    rest = [o for o in overrides if o.key_or_group not in ("experiment", "tier")]
    if axes := [o.input_line for o in rest if o.is_sweep_override()]:
        raise ValueError(
            f"{', '.join(map(str, axes))}: an experiment declares its axes; give single values beside it, a list as [a,b]"
        )
    tier = next((str(o.value()) for o in reversed(overrides) if o.key_or_group == "tier"), "core")
    declared = [experiments.load(name) for name in (experiments.names() if names == ["all"] else names)]
    return declared, tier, {o.get_key_element().lstrip("+"): o.get_value_string() for o in rest}


def load(overrides: list[str]) -> DictConfig:
    """The config of a run, composed as ``run.py`` does."""
    schema.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides)
    with open_dict(config):
        config.pop("hydra", None)
    return config


class Composer:
    """What Hydra's ``load`` makes of a list of overrides, with each file read once; keys are set on a copy.

    A part's file says nothing but what stands under its group's name, so it is read by itself, where there is one. Then keys
    are set, as Hydra does it after it has read all files. Reading takes most of the time.
    """

    def __init__(self, load: Callable[[list[str]], DictConfig]):
        self._load = functools.cache(lambda *choices: pickle.dumps(load(list(choices))))  # copied faster than by deepcopy

    def __call__(self, overrides: list[str]) -> DictConfig:
        parsed = OverridesParser.create().parse_overrides(overrides)
        chosen = [each for each in parsed if not _sets_a_key(each)]
        last = {each.key_or_group: each for each in chosen if _chooses_a_part(each)}
        others = [each.input_line for each in chosen if not _chooses_a_part(each)]
        config = pickle.loads(self._load(*others))
        for group, choice in last.items():
            path = CONF / group / f"{choice.value()}.yaml"
            config[group] = _read(path) if path.is_file() else pickle.loads(self._load(*others, choice.input_line))[group]
        ConfigLoaderImpl._apply_overrides_to_config([each for each in parsed if _sets_a_key(each)], config)
        return config


@functools.cache
def _read(path: Path) -> dict[str, Any]:
    """Without the interpolations resolved."""
    return OmegaConf.to_container(OmegaConf.load(path))  # type: ignore[return-value]


def _chooses_a_part(override: Override) -> bool:
    plain = override.type is OverrideType.CHANGE and not override.package and isinstance(override.value(), str)
    return plain and override.key_or_group in parts.GROUPS


def _sets_a_key(override: Override) -> bool:
    """It chooses no group, is none of Hydra's own, and has one value."""
    name = override.key_or_group
    return not ((CONF / name).is_dir() or name.startswith("hydra.") or override.package or override.is_sweep_override())
