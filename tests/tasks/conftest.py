"""Every task that conf/task has, and the plain loops that judge them."""

import os
from collections.abc import Callable, Iterator
from functools import cache as once
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from study import parts
from study.tasks.base import IGNORE, Batch, Task
from study.tasks.images import ImageTask
from study.tasks.pairs import PairTask

ROOT = Path(__file__).parents[2]
YAMLS = sorted((ROOT / "conf" / "task").glob("*.yaml"))
DATA = {"${data.root}": str(ROOT / os.environ.get("STUDY_DATA_ROOT", "data")), "${data.download}": False}
LINES = {  # of a corpus for tasks that want the user's own files
    split: [f"{word} {number} and {word} more." for number in numbers for word in ("one", "two", "three", "four")]
    for split, numbers in {"train": range(30), "validation": range(30, 35), "test": range(35, 40)}.items()
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def task_class(path: Path) -> type[Task]:
    return parts.load("task", path.stem)


def build(path: Path, **own: Any) -> Task:
    """The task of a yaml; `own` are keys to set besides, where it has them."""
    node = yaml.safe_load(path.read_text())
    node |= {key: value for key, value in own.items() if key in node}
    del node["name"]
    arguments = {key: DATA.get(value, value) if isinstance(value, str) else value for key, value in node.items()}
    try:
        return task_class(path)(**arguments)
    except FileNotFoundError as error:
        pytest.skip(f"no file of {path.stem} (STUDY_DATA_ROOT names the folder of real data): {error}")


def yamls(fits: Callable[[type[Task]], bool]) -> dict[str, Any]:
    """What parametrises a fixture by the tasks whose class fits."""
    return {"params": [of_yaml(path) for path in YAMLS if fits(task_class(path))]}


def of_yaml(path: Path) -> Any:
    """A parameter; slow where the task reads published files."""
    slow = "root" in parts.keywords("task", path.stem)
    return pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * slow)


@pytest.fixture(scope="session")
def built(cache: str, own_files: dict[str, str]) -> Callable[[Path], Task]:
    """built(path): the task of a yaml, on what data there are; each is built once."""
    return once(lambda path: build(path, cache=cache, **own_files))


@pytest.fixture(scope="session", **yamls(lambda kind: True))
def any_task(request: pytest.FixtureRequest, built: Callable[[Path], Task]) -> Task:
    return built(request.param)


@pytest.fixture(scope="session", **yamls(lambda kind: not issubclass(kind, PairTask | ImageTask)))
def task(request: pytest.FixtureRequest, built: Callable[[Path], Task]) -> Task:
    """A task on one sequence."""
    return built(request.param)


@pytest.fixture(scope="session", **yamls(lambda kind: issubclass(kind, PairTask)))
def pair_task(request: pytest.FixtureRequest, built: Callable[[Path], Task]) -> Task:
    return built(request.param)


@pytest.fixture(scope="session", **yamls(lambda kind: issubclass(kind, ImageTask)))
def image_task(request: pytest.FixtureRequest, built: Callable[[Path], Task]) -> Task:
    return built(request.param)


@pytest.fixture(scope="session")
def published(cache: str) -> Callable[..., Task]:
    """published("scan", split="jump"): a task on the true files; skips where they aren't there."""
    return lambda name, **own: build(ROOT / "conf" / "task" / f"{name}.yaml", cache=cache, **own)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for what corpora keep, shared by the tests."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def own_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Keys that name the files of a small corpus: train.source and the like."""
    folder = tmp_path_factory.mktemp("corpus")
    keys = {}
    for split, lines in LINES.items():
        for side, texts in {"source": lines, "target": [line[::-1] for line in lines]}.items():
            keys[f"{split}_{side}"] = str(folder / f"{split}.{side}")
            Path(keys[f"{split}_{side}"]).write_text("".join(f"{text}\n" for text in texts))
    return keys


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
def power_bin() -> Callable[[int], int]:
    """The smallest power of two that isn't below a number."""

    def plain(number: int) -> int:
        edge = 1
        while edge < number:
            edge *= 2
        return edge

    return plain
