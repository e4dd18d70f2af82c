"""What ``trainer=gpu`` asks for, on whatever device is here: bfloat16 autocast, clipping, a fused optimiser, checkpoints.

Each part trains, is stopped, goes on, is scored and writes, under exactly these settings with the accelerator alone replaced;
so do further ways to put them together, without a stop; each takes a step that never waits for the device.
``python -m pytest -m cuda`` does the same on a GPU.
"""

import contextlib
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from study import keys, parts, schema
from study.positions.base import InsidePosition
from study.training import checkpoints
from study.training.build import build_model, build_task
from study.training.module import Training
from study.training.runner import execute
from tests.test_every_config import ANSWERS, BESIDE, KINDS, NAMES, UNMATCHED
from tests.training.test_resume import assert_same, stop_at

pytestmark = pytest.mark.slow

DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("gpu", marks=pytest.mark.cuda)])
MIXERS = [
    *([f"mixer={mixer}"] for mixer in NAMES["mixer"]),
    *(["mixer=scored", f"mixer.score={score}"] for score in ("additive", "bilinear", "cosine")),
]
READOUTS = [f"readout={readout}" for readout in NAMES["readout"]]
ARRANGEMENTS = [f"model.arrangement={arrangement}" for arrangement in keys.every()["model.arrangement"].one_of]
INSIDE = [name for name in NAMES["position"] if issubclass(parts.load("position", name), InsidePosition)]
ADDED = [f"position={name}" for name in NAMES["position"] if name not in INSIDE]
ENCODERS = [  # each mixer, readout, arrangement and added position once or more, side by side
    [*mixer, READOUTS[i % len(READOUTS)], ARRANGEMENTS[i % len(ARRANGEMENTS)], ADDED[i % len(ADDED)]]
    for i, mixer in enumerate(MIXERS)
]
PAIRS = [name for name, kind in ANSWERS.items() if kind == "pairs"]
DECODERS = [[f"architecture={name}", *BESIDE.get(name, [])] for name in PAIRS]
IMAGES = [[f"architecture={name}"] for name, kind in ANSWERS.items() if kind == "images"]
CASES = [
    *(("recall", case) for case in ENCODERS),
    *(("reversal", case) for case in DECODERS),
    *(("clutter", case) for case in IMAGES),
]
FURTHER = [  # more of what a run may ask for, which keeps nothing that the parts above don't
    ("brackets", ["evaluation.structure=true", "evaluation.heads=true"]),
    *(("reverse", [f"mixer={mixer}"]) for mixer in NAMES["mixer"]),  # bidirectional, with padding
    *(("recall", [f"position={position}"]) for position in INSIDE),
    *(("reversal", ["architecture=transformer", f"position={name}"]) for name in ("relative", "rotary", "learned", "none")),
    ("reversal", ["architecture=transformer", "search.beam=3"]),
]


@pytest.fixture
def gpu_trainer(tiny):
    def config(device, *overrides, task="recall"):
        return tiny("trainer=gpu", f"trainer.accelerator={device}", *UNMATCHED[KINDS[task]], *overrides, task=task)

    return config


@DEVICES
@pytest.mark.parametrize(("task", "case"), CASES, ids=[f"{task}-{'-'.join(case)}" for task, case in CASES])
def test_every_part_trains_is_scored_and_goes_on_after_a_stop(gpu_trainer, monkeypatch, tmp_path, device, task, case):
    overrides = [*case, "trainer.checkpoint_every=2", "train.rate=0.01"]
    expected = execute(gpu_trainer(device, *overrides, f"runs={tmp_path / 'whole'}", task=task))
    assert expected.state == "finished", expected.error
    config = gpu_trainer(device, *overrides, task=task)
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        stop_at(keyboard, "training_step", 3)
        execute(config)
    assert (Path(config.runs) / schema.name(config) / checkpoints.NAME).exists()
    outcome = execute(config)
    assert outcome.state == "finished", outcome.error
    assert outcome.record["resumed"] is True
    assert outcome.record["provenance"]["dtype"] == "bfloat16 autocast"
    assert_same(outcome.record, expected.record)


@DEVICES
@pytest.mark.parametrize(("task", "case"), FURTHER, ids=[f"{task}-{'-'.join(case)}" for task, case in FURTHER])
def test_parts_train_and_are_scored_together(gpu_trainer, device, task, case):
    outcome = execute(gpu_trainer(device, *case, task=task))
    assert outcome.state == "finished", outcome.error
    assert outcome.record["provenance"]["dtype"] == "bfloat16 autocast"
    assert {"validation", "test"} <= outcome.record["metrics"].keys()


class NeverWaits(TorchDispatchMode):
    """Fails on what would make a GPU's step wait for its results: reading a value, or a shape that hangs on values."""

    READS = set(
        """
        _local_scalar_dense nonzero masked_select _unique2 unique_dim unique_consecutive bincount equal is_nonzero
    """.split()
    )

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        by_mask = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        assert name not in self.READS and not by_mask, f"{function} waits for the device"
        return function(*args, **(kwargs or {}))


@contextlib.contextmanager
def never_waits(device):
    if device.type == "cpu":
        with NeverWaits():
            yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_what_waits_is_found():
    values = torch.arange(3)
    waits = [values.max().item, values.nonzero, lambda: values[values > 1], lambda: int(values[0]), lambda: bool(values.any())]
    for wait in waits:
        with pytest.raises(AssertionError, match="waits for the device"), NeverWaits():
            wait()
    with NeverWaits():
        values.where(values > 1, 0)[torch.tensor([0])]


def a_step(config):
    """Two training steps and one of scoring: the first makes the optimiser's states and whatever else is made once."""
    device = torch.device("cuda" if config.trainer.accelerator == "gpu" else "cpu")
    task = build_task(config)
    module = Training(build_model(config, task), task, config).to(device)
    optimizer = module.configure_optimizers()["optimizer"]

    def train(batch):
        with torch.autocast(device.type, torch.bfloat16):
            loss = module.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        module.configure_gradient_clipping(optimizer)
        optimizer.step()
        return loss

    def score(batch):
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            module.scores.update(module.model(**batch.inputs()), batch)

    first, second, third = (module.draw(task, "train", index, 4) for index in range(3))
    train(first)
    score(third)
    with never_waits(device):
        loss = train(second)
        score(third)
    assert loss.isfinite()


@DEVICES
@pytest.mark.parametrize("turn", range(max(len(NAMES["mixer"]), len(NAMES["readout"]))))
def test_no_step_waits_whatever_the_mixer_and_the_readout(gpu_trainer, device, turn):
    a_step(gpu_trainer(device, *(f"{group}={NAMES[group][turn % len(NAMES[group])]}" for group in ("mixer", "readout"))))


@DEVICES
@pytest.mark.parametrize("position", NAMES["position"])
def test_no_step_waits_whatever_the_position_and_the_padding(gpu_trainer, device, position):
    for task in ("recall", "reverse"):
        a_step(gpu_trainer(device, f"position={position}", task=task))


@DEVICES
@pytest.mark.parametrize(("task", "case"), [case for case in CASES + FURTHER if case[0] in ("reversal", "clutter")])
def test_no_step_waits_whatever_the_architecture(gpu_trainer, device, task, case):
    a_step(gpu_trainer(device, *case, task=task))
