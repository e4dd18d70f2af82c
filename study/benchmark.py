"""Speed, as ratios inside one process: ``python -m study.benchmark [harness sweep block window analysis]``.

Each comparison alternates its sides and takes the median of the repeats, with one thread, so that a busy machine slows
both alike. Where there is a GPU, what can run on it is measured on both, or with ``--device cuda`` on the GPU alone. Times
differ between machines; the ratios are the result.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table
from torch import nn

from study import schema
from study.attention.dot_product import attention
from study.cost.memory import saved_bytes
from study.cost.timing import medians, timed
from study.mixers.attention import Attention
from study.mixers.window import window_attention
from study.models.encoder import Block
from study.training.build import build_model, build_task
from study.training.module import Training, parameter_groups, rate_factor
from study.training.train import make_trainer

ROOT = Path(__file__).parent.parent
REPEATS = 7


def config_of(*overrides: str):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=list(overrides))
    schema.check(config)
    return config


def harness(rows: list[list[str]], device: str) -> None:
    """A training step through the whole harness against a bare loop over the same model and batches."""
    trainer_choice = "gpu" if device == "cuda" else "cpu"
    steps, skipped = 60, 10
    overrides = [f"trainer={trainer_choice}", "task.length=64", "train.batch=64"]
    config = config_of(*overrides, f"train.steps={steps}", f"train.evaluate_every={steps}", "tracking.mode=off")

    class Clock(pl.Callback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_train_batch_end(self, trainer, *_) -> None:
            if trainer.global_step in (skipped, steps):
                if device == "cuda":
                    torch.cuda.synchronize()
                self.ends.append(time.perf_counter())

    def through_harness() -> float:
        clock = Clock()
        torch.manual_seed(0)
        task = build_task(config)
        trainer = make_trainer(config, [clock])
        trainer.limit_val_batches = 0
        trainer.fit(Training(build_model(config, task), task, config))
        return (clock.ends[1] - clock.ends[0]) / (steps - skipped)

    def bare() -> float:
        torch.manual_seed(0)
        task = build_task(config)
        module = Training(build_model(config, task).to(device), task, config).to(device)
        optimizer = torch.optim.AdamW(
            parameter_groups(module.model, config.train.weight_decay), lr=config.train.rate, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: rate_factor(i, steps, config.train.warmup))
        counter = itertools.count()

        def step() -> None:
            batch = module.draw(task, "train", next(counter), config.train.batch)
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                loss = module.loss(batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), config.train.clip)
            optimizer.step()
            schedule.step()

        for _ in range(skipped):
            step()
        return timed(step, torch.device(device), steps - skipped)

    found = medians({"harness": through_harness, "bare loop": bare}, REPEATS)
    compare(rows, f"training step, 64 x 64 tokens, {device}", found, "harness", "bare loop", 1.05)


def sweep(rows: list[list[str]], device: str) -> None:
    """Seconds that one more run adds to a sweep, less its training: from sweeps of few and of many one-step runs."""
    few, many = 2, 12

    def launch(runs: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "run.py", "-m", f"seed=range({runs})", f"runs={folder}", "tier=smoke"]
            small = ["train.steps=1", "train.evaluate_every=1", "evaluation.test_items=1", "evaluation.validation_items=1"]
            start = time.perf_counter()
            subprocess.run([*command, *small], cwd=ROOT, check=True, capture_output=True)
            return time.perf_counter() - start

    found = medians({"many": lambda: launch(many), "few": lambda: launch(few)}, repeats=2)
    added = (found["many"] - found["few"]) / (many - few)
    rows.append(["one more run in a sweep", f"{added:.2f} s", "", "", "at most 0.5 s"])


def block(rows: list[list[str]], device: str) -> None:
    """Two attention blocks, forward and backward, against torch's and x-transformers' at equal shapes."""
    from x_transformers import Encoder

    for width, heads, batch, length in ((64, 4, 64, 64), (128, 4, 16, 128), (256, 4, 4, 256)):
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True, activation="relu"
        )
        models = {
            "study": nn.Sequential(
                *(Block(Attention(width, causal=False, heads=heads, layer=i), 4 * width, 0.0) for i in range(2)),
                nn.LayerNorm(width),
            ),
            "torch": nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(width), enable_nested_tensor=False),
            "x-transformers": Encoder(dim=width, depth=2, heads=heads, attn_dim_head=width // heads, attn_flash=True),
        }
        x_BND = torch.randn(batch, length, width, device=device, requires_grad=True)

        def side(model: nn.Module, x_BND: torch.Tensor = x_BND) -> Callable[[], float]:
            model.to(device).train()

            def step() -> None:
                model.zero_grad()
                with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                    loss = model(x_BND).float().square().mean()
                loss.backward()

            return lambda: timed(step, torch.device(device), 10)

        found = medians({name: side(model) for name, model in models.items()}, REPEATS)
        what = f"2 attention blocks, {width} wide, {heads} heads, {batch} x {length}, {device}"
        for other in ("torch", "x-transformers"):
            compare(rows, f"{what}, against {other}", found, "study", other, 1.0)


def window(rows: list[list[str]], device: str) -> None:
    """Windowed attention, r = 64, 4 heads of 16: against local-attention and full attention; exponents in n."""
    from local_attention import LocalAttention

    r, lengths = 64, (512, 1024, 2048, 4096, 8192)
    local = LocalAttention(
        r, causal=True, look_backward=1, look_forward=0, exact_windowsize=True, autopad=True, use_rotary_pos_emb=False
    ).to(device)
    seconds: dict[str, list[float]] = {"window": [], "local-attention": [], "full": []}
    kept: list[int] = []
    for n in lengths:
        qkv = [torch.randn(1, 4, n, 16, device=device, requires_grad=True) for _ in range(3)]

        def side(attend: Callable[..., torch.Tensor], qkv=qkv, n=n) -> Callable[[], float]:
            def step() -> None:
                attend(*qkv).square().sum().backward()

            return lambda: timed(step, torch.device(device), max(1, 4096 // n))

        sides = {
            "window": side(lambda q, k, v: window_attention(q, k, v, back=r, ahead=0)),
            "local-attention": side(lambda q, k, v: local(q, k, v)),
            "full": side(lambda q, k, v: attention(q, k, v, causal=True)),
        }
        found = medians(sides, repeats=5)
        for name, value in found.items():
            seconds[name].append(value)
        kept.append(saved_bytes([], functools.partial(window_attention, *qkv, back=r, ahead=0)))
        what = f"windowed attention, n = {n}, r = {r}, {device}"
        compare(rows, f"{what}, against local-attention", found, "window", "local-attention", 1.0)
        compare(rows, f"{what}, against full attention", found, "window", "full", None)
    for name, values in seconds.items():
        target = "at most 1.1" if name == "window" else ""
        rows.append([f"exponent of {name}'s time in n, {device}", f"{exponent(lengths, values):.2f}", "", "", target])
    rows.append([f"exponent of window's memory in n, {device}", f"{exponent(lengths, kept):.2f}", "", "", "1.0"])


def analysis(rows: list[list[str]], device: str) -> None:
    """Every table, figure and verdict, and the page, from the committed records."""
    count = sum(len(path.read_bytes().splitlines()) for path in ROOT.glob("results/*/records/*.jsonl"))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "analysis", "--output", folder], cwd=ROOT, check=True, capture_output=True)
        seconds = time.perf_counter() - start
    rows.append([f"all results from {count} records", f"{seconds:.1f} s", "", "", f"at most {count / 250:.0f} s"])


def exponent(lengths: Sequence[int], values: Sequence[float]) -> float:
    """Slope of log value on log length."""
    return float(np.polyfit(np.log(lengths), np.log(values), 1)[0])


def compare(rows: list[list[str]], what: str, seconds: dict[str, float], ours: str, theirs: str, target: float | None) -> None:
    ratio = seconds[ours] / seconds[theirs]
    goal = "" if target is None else f"at most {target}"
    rows.append([what, f"{1e3 * seconds[ours]:.2f} ms", f"{1e3 * seconds[theirs]:.2f} ms", f"{ratio:.2f}", goal])


SECTIONS = {f.__name__: f for f in (harness, sweep, block, window, analysis)}
ON_GPU = ("harness", "block", "window")


def main() -> None:
    devices, sections = asked()
    torch.set_num_threads(1)
    schema.register()
    table = Table("what", "study", "other", "ratio", "goal", title=f"torch {torch.__version__}, one thread")
    for name in sections:
        for device in devices if name in ON_GPU else ["cpu"]:
            rows: list[list[str]] = []
            SECTIONS[name](rows, device)
            for row in rows:
                table.add_row(*row)
    Console(width=140).print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    Console().print(f"peak memory of this process: {peak:.0f} MB")


def asked(arguments: Sequence[str] | None = None) -> tuple[list[str], list[str]]:
    """Devices and sections that a command line asks for, this process's own by default."""
    parser = argparse.ArgumentParser(prog="python -m study.benchmark", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"any of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="measure there alone; by default on all that are here")
    options = parser.parse_args(arguments)
    devices = [options.device] if options.device else ["cpu", *["cuda"] * torch.cuda.is_available()]
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no CUDA device here")
    chosen = options.sections or [name for name in SECTIONS if "cpu" in devices or name in ON_GPU]
    if unknown := set(chosen) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if "cpu" not in devices and (others := set(chosen) - set(ON_GPU)):
        parser.error(f"--device cuda: {', '.join(sorted(others))} takes no GPU; name {', '.join(ON_GPU)}")
    return devices, chosen


if __name__ == "__main__":
    main()
