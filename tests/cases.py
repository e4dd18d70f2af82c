"""Many cases in one test: a loop whose failures say which case it was, over the parts that conf/ names."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import yaml

from study import parts
from tests.conftest import CONF


@contextmanager
def case(*what: object) -> Iterator[None]:
    """What fails inside is told with the case."""
    try:
        yield
    except BaseException as error:  # pytest's own failures are no Exception
        error.add_note("case: " + ", ".join(map(str, what)))
        raise


def close(actual: Any, expected: Any, **tolerance: Any) -> None:
    """Equal but for float32's rounding."""
    torch.testing.assert_close(actual, expected, **({"atol": 1e-5, "rtol": 1e-4} | tolerance))


def names(group: str) -> list[str]:
    """Of its yamls."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def part(group: str, name: str) -> Any:
    """The class of a yaml, to be called as it is, with the keys of the yaml set."""
    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
    return partial(parts.load(group, node.pop("name")), **node)


def made(group: str, name: str, *given: Any, **keys: Any) -> Any:
    """A part with the keys of its yaml, or others, from torch's seed 0."""
    torch.manual_seed(0)
    return part(group, name)(*given, **keys)
