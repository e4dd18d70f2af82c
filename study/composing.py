"""Configs from overrides, as Hydra composes them, but quick where many are asked for: a sweep composes hundreds."""

import copy
import functools
from collections.abc import Callable
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

CONF = Path(__file__).parent.parent / "conf"


class Composer:
    """Hydra's ``load`` of a list of overrides, called once for each set of choices of groups; keys are set on a copy.

    Hydra does the same in the same order: it reads the chosen files, then sets the keys. Reading takes most of the time.
    """

    def __init__(self, load: Callable[[list[str]], DictConfig]):
        self._chosen = functools.cache(lambda *choices: load(list(choices)))

    def __call__(self, overrides: list[str]) -> DictConfig:
        parsed = OverridesParser.create().parse_overrides(overrides)
        config = copy.deepcopy(self._chosen(*(each.input_line for each in parsed if not _sets_a_key(each))))
        ConfigLoaderImpl._apply_overrides_to_config([each for each in parsed if _sets_a_key(each)], config)
        return config


def _sets_a_key(override: Override) -> bool:
    """It chooses no group, is none of Hydra's own, and has one value."""
    name = override.key_or_group
    return not ((CONF / name).is_dir() or name.startswith("hydra.") or override.package or override.is_sweep_override())
