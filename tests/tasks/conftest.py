"""Every task that conf/task has, and the plain loops that judge them."""

import importlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml

from study.tasks.base import IGNORE, Batch, Task

ROOT = Path(__file__).parents[2]
YAMLS = sorted((ROOT / "conf" / "task").glob("*.yaml"))
DATA = {
    "${data.root}": str(ROOT / os.environ.get("STUDY_DATA_ROOT", "data")),
    "${data.download}": False,
}


def build(path: Path) -> Task:
    node = yaml.safe_load(path.read_text())
    module, name = node.pop("_target_").rsplit(".", 1)
    arguments = {
        key: DATA.get(value, value) if isinstance(value, str) else value for key, value in node.items()
    }
    try:
        return getattr(importlib.import_module(module), name)(**arguments)
    except FileNotFoundError as error:
        pytest.skip(f"no file of {name} (STUDY_DATA_ROOT names the folder of real data): {error}")


@pytest.fixture(params=YAMLS, ids=lambda path: path.stem)
def task_yaml(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def task(task_yaml: Path) -> Task:
    return build(task_yaml)


@pytest.fixture(scope="session")
def shakespeare() -> Task:
    return build(ROOT / "conf" / "task" / "shakespeare.yaml")


@pytest.fixture(scope="session")
def rows() -> Callable[..., Iterator[tuple[list[int], dict[int, int], dict[str, dict[int, int]]]]]:
    """rows(batch): each sequence as plain Python: tokens, {position: target}, {slice: {position: value}}."""

    def plain(batch: Batch) -> Iterator[tuple[list[int], dict[int, int], dict[str, dict[int, int]]]]:
        tokens, targets = batch.tokens_BN.tolist(), batch.targets_BT.tolist()
        where = [range(len(row)) for row in tokens] if batch.where_BT is None else batch.where_BT.tolist()
        slices = {name: values.tolist() for name, values in batch.slices.items()}
        for b in range(len(tokens)):
            scored = [t for t, target in enumerate(targets[b]) if target != IGNORE]
            assert len({where[b][t] for t in scored}) == len(scored), "a position is scored twice"
            yield (
                tokens[b],
                {where[b][t]: targets[b][t] for t in scored},
                {name: {where[b][t]: values[b][t] for t in scored} for name, values in slices.items()},
            )

    return plain


@pytest.fixture(scope="session")
def accuracy(rows) -> Callable[..., tuple[float, float]]:
    """accuracy(task, guess): the share of right guesses, and four standard errors of it.

    guess(tokens, position, rng) is asked for each scored position.
    """

    def simulate(task: Task, guess: Callable[[list[int], int, random.Random], int]) -> tuple[float, float]:
        generator, rng, hits = torch.Generator().manual_seed(7), random.Random(7), []
        for tokens, targets, _ in rows(task.batch(4000, generator)):
            hits += [guess(tokens, position, rng) == target for position, target in targets.items()]
        share = sum(hits) / len(hits)
        # Items of one sequence may hang together: count sequences, not items.
        return share, 4 * (share * (1 - share) / 4000) ** 0.5

    return simulate


@pytest.fixture(scope="session")
def power_bin() -> Callable[[int], int]:
    """The smallest power of two that isn't below a number."""

    def plain(number: int) -> int:
        edge = 1
        while edge < number:
            edge *= 2
        return edge

    return plain
