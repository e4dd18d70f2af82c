"""What the tests share: one thread, no network, tiny configs, the command line inside and outside this process."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in every process that a test starts
os.environ["WANDB_ERROR_REPORTING"] = "false"

import gc
import ipaddress
import runpy
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import pytest
import torch
import yaml
from omegaconf import DictConfig

from study import experiments, parts, schema
from study.composing import Composer
from tests.wandb_server import KEY, Server

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"

SMALL = """
    tier=core model.width=16 model.ffn_width=64 train.steps=4 train.batch=4 train.evaluate_every=2 evaluation.validation_items=8
    evaluation.test_items=8 evaluation.batch=8 data.download=false tracking.mode=off
""".split()
SHORT = {"length": 12, "max_length": 6, "keys": 12}  # of tasks that have such a key


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


def pytest_collection_finish() -> None:
    gc.freeze()  # what is imported stays, so the search for garbage leaves it out
    gc.set_threshold(100_000)


class NoNetwork(OSError):
    """A test reached for the network."""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Connecting or looking up a name fails in this process; only this machine can be reached."""
    names = {"localhost", socket.gethostname(), "", None}
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def here(host: Any) -> bool:
        try:
            return host in names or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def guard(call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not here(address[0]):
                raise NoNetwork(f"this test wants to connect to {address}")
            return call(self, address)

        return guarded

    def guarded_look_up(host: Any, *args: Any, **keywords: Any) -> Any:
        if not here(host.decode() if isinstance(host, bytes) else host):
            raise NoNetwork(f"this test wants to look up {host}")
        return look_up(host, *args, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guard(connect))
        patch.setattr(socket.socket, "connect_ex", guard(connect_ex))
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield


@pytest.fixture(scope="session")
def compose() -> Callable[..., DictConfig]:
    """compose("task=recall", ...): the config that ``python run.py task=recall ...`` gets."""
    schema.register()

    def load(overrides: list[str]) -> DictConfig:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return hydra.compose("config", overrides)

    composer = Composer(load)
    return lambda *overrides: composer(list(overrides))


def short(task: str) -> list[str]:
    """Overrides that make a task's sequences short."""
    return [f"task.{key}={value}" for key, value in SHORT.items() if key in parts.keywords("task", task)]


@pytest.fixture
def tiny(compose: Callable[..., DictConfig], tmp_path: Path) -> Callable[..., DictConfig]:
    """tiny("mixer=lstm", ..., task="recall"): a config that trains in a moment, its records in a folder of the test."""

    def composed(*overrides: str, task: str = "recall") -> DictConfig:
        return compose(f"task={task}", *short(task), *SMALL, f"runs={tmp_path / 'runs'}", *overrides)

    return composed


WORDS = {"name": "tiny", "title": "t", "question": "q", "claims": []}  # what a declaration has beside its runs
EXPERIMENT = {
    "name": "tiny",
    "title": "Two arms, one task",
    "question": "Does a declared sweep do what it declares?",
    "claims": ["C13", "C24"],
    "base": {
        "model.width": 16,
        "model.ffn_width": 64,
        "train.batch": 4,
        "evaluation.validation_items": 8,
        "evaluation.test_items": 8,
        "evaluation.batch": 8,
    },
    "arms": {
        "attention": {"label": "attention", "set": {"mixer": "attention", "mixer.heads": 2}},
        "identity": {"label": "no mixing", "set": {"mixer": "identity"}},
    },
    "tasks": {
        "recall": {"label": "recall", "set": {"task": "recall", "task.length": 8, "train.steps": 4, "train.evaluate_every": 2}}
    },
    "tiers": {
        "smoke": {"rates": [0.003], "tuning_seeds": [100], "verdict_seeds": [0, 1]},
        "core": {  # long enough to be interrupted
            "rates": [0.003],
            "tuning_seeds": [100],
            "verdict_seeds": [0],
            "task_set": {"recall": {"train.steps": 20000, "train.evaluate_every": 20}},
        },
    },
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project with one more experiment, ``tiny``."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(ROOT / "run.py", folder)
    shutil.copytree(CONF, folder / "conf")
    for package in ("study", "hydra_plugins"):
        (folder / package).symlink_to(ROOT / package)
    (folder / "conf" / "experiment" / "tiny.yaml").write_text(yaml.safe_dump(EXPERIMENT, sort_keys=False))
    return folder


@pytest.fixture
def run_py(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """run_py("-m", "seed=0,1"): the command line in this process, which is what makes it fast."""

    def command(*arguments: str, folder: Path = ROOT) -> Ended:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(experiments, "FOLDER", folder / "conf" / "experiment")
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
        capfd.readouterr()
        code: Any = 0
        try:
            runpy.run_path(str(folder / "run.py"), run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        out, err = capfd.readouterr()
        if isinstance(code, str):  # as Python does at the end of a process
            code, err = 1, err + code + "\n"
        return Ended(code or 0, out, err)

    return command


@pytest.fixture
def fresh_wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process of W&B's that an earlier test's settings started, nothing complained of, and time for a busy machine."""
    from study.training import tracking

    monkeypatch.setattr(tracking, "_said", set())
    monkeypatch.setattr(tracking, "PATIENCE", 60)
    monkeypatch.setattr(tracking, "LOCALLY", 60)
    monkeypatch.setattr(tracking, "LIMIT", 120)
    tracking._end_idle()
    yield
    tracking._end_idle()


@pytest.fixture
def no_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings and no key of W&B's, which keeps them for as long as a process lives."""
    import wandb

    for variable in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_ERROR_REPORTING"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def wandb_server(fresh_wandb: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """W&B's server, for this process and those that it starts."""
    with Server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server


@pytest.fixture
def own_text(tiny: Callable[..., DictConfig], tmp_path: Path) -> tuple[DictConfig, dict[str, Path]]:
    """(config of a run on files of pairs, the files by key)."""
    files = {}
    for split in ("train", "validation", "test"):
        for side, text in {"source": "one two three\nfour five six\n", "target": "three two one\nsix five four\n"}.items():
            files[f"{split}_{side}"] = tmp_path / f"{split}.{side}"
            files[f"{split}_{side}"].write_text(text * 4)
    keys = [f"task.{key}={path}" for key, path in files.items()]
    keys += ["architecture=bahdanau", "model.match=nothing", "trainer.keep_weights=true", "task.vocabulary=40"]
    return tiny(*keys, f"data.cache={tmp_path / 'cache'}", task="parallel_text"), files
