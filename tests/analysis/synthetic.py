"""Made-up records of declared experiments.

``scores`` decides what they show; nothing in here is a result.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from study import experiments, parts, records
from study.experiments import Experiment, PlannedRun
from study.metrics import METRICS
from study.records import Record

Score = Callable[[PlannedRun, random.Random], float]
PLAN = ("experiment", "tier", "arm", "task", "role", "rate", "seed", "digest")
AXES = {
    "recall": "distance",
    "copy_memory": "distance",
    "mqar": "distance",
    "clutter": "distance",
    "agreement": "distance",
    "reverse": "length",
    "copy": "length",
    "reversal": "length",
    "permutation": "length",
    "multi30k": "length",
}
LONGER = {"reverse", "copy", "offset"}  # tasks that by themselves are scored on longer sequences, too
LONGEST = 20  # in training, of those
WRITTEN = {"bleu", "exact", "token_accuracy", "word_error_rate"}  # scores of what an encoder-decoder writes
BY_HAND = {"built_apart": 1.0, "built_overlap": 0.0, "copies_apart": 0.0, "copies_overlap": 1.0}  # heads made to be so
VALUES = {"distance": range(1, 64), "length": range(4, 4 * LONGEST + 1), "position": (1, 2, 4, 8, 16, 32, 64)}


def plausible(run: PlannedRun, draw: random.Random) -> float:
    """An accuracy that depends on arm and rate, with some noise; bits per character where the task is text."""
    assert run.rate is not None
    skill = random.Random(f"{run.arm} {run.task}").uniform(0.3, 1.0)
    tuned = math.exp(-0.15 * math.log(run.rate / 0.003) ** 2)
    return min(1.0, max(0.0, skill * tuned + draw.gauss(0, 0.01)))


def measured(run: PlannedRun, **changes: Any) -> Record:
    """A sealed record of a measurement of cost: of a layer against length or width, or of decoding against the position."""
    power = 1.0 if run.settings.get("mixer") == "window" else 2.0
    noise = 1 + run.seed / 1000

    def layer(n: int) -> dict[str, float]:
        work = 64 * n**power
        counted = {"multiply_adds": work, "counted_multiply_adds": work, "critical_path": 24, "hops": 1}
        return {"seconds": 1e-6 * n**power * noise, "bytes": 100 * n**power, **counted}

    slices: dict[str, Any] = {}
    positions, widths = (run.settings.get(f"cost.{key}", ()) for key in ("positions", "widths"))
    if positions:
        slices["decoding"] = {"position": {str(t): {"seconds": 1e-6 * t * noise, "bytes": 8 * t} for t in positions}}
    else:
        axis = "width" if widths else "length"
        slices["cost"] = {axis: {str(n): layer(n) for n in widths or run.settings.get("cost.lengths", (128, 256, 512))}}
    empty = dict.fromkeys(("steps_to_90", "steps_to_solve", "solved_at", "chance", "heuristic", "reach"))
    changes = {"metrics": {}, "curve": [], "slices": slices, **empty, **changes}
    return record(run, "seconds", 0.0, **changes)


def record(run: PlannedRun, metric: str, score: float, points: int = 12, **changes: Any) -> Record:
    """A sealed record of ``run``. ``changes`` replace fields."""
    steps = 100 * points
    lower = METRICS[metric].better == "lower"
    solved_at = None if lower else 0.99
    reached = {share: None if solved_at is None or score < share else int(steps * share * 0.6) for share in (0.9, 0.99)}
    shown = 6.0 - 4.0 * score if lower else score
    scores = {"accuracy": score, "loss": shown * math.log(2), "bits_per_character": shown, "items": 10000, metric: shown}
    if metric in WRITTEN:
        scores["alignment"] = score
    task = run.settings.get("task", run.task)
    axis = AXES.get(task, "position")
    architecture = run.settings.get("architecture", "encoder")
    reach = _reach(run)
    longer = bool(run.settings.get("task.out_length", task in LONGER))
    longest = LONGEST if longer else math.inf
    inside = {str(v): {**scores, "items": 160} for v in run.settings.get("task.distances", VALUES[axis]) if v <= longest}
    for value, sliced in inside.items() if axis == "distance" else ():
        sliced["accuracy"] = score if reach is None or int(value) <= reach else 0.125
    slices = {"test": {axis: inside}}
    if run.task == "agreement":
        slices["test"]["attractors"] = {str(v): {**scores, "items": 2000} for v in range(5)}
    metrics = {"validation": {**scores, "loss": shown, "items": 2000}, "test": scores}
    if run.settings.get("evaluation.train"):
        metrics["train"] = {**scores, "loss": scores["loss"] / 2, "bits_per_character": shown / 2}
    if longer:
        metrics["out"] = {**scores, "accuracy": score / 4}
        slices["out"] = {axis: {str(v): {**scores, "accuracy": score / 4, "items": 160} for v in VALUES[axis] if v > longest}}
    if run.settings.get("evaluation.gradients"):
        for when, power in (("start", 2 - score), ("end", 1 - score)):
            slices[when] = {"distance": {str(k): {"gradient": k**-power} for k in (1, 2, 4, 8, 16, 32)}}
    made: Any = {
        "schema": records.SCHEMA,
        "id": run.digest[:12],
        "name": f"{run.experiment}-{run.task}-{run.arm}-{run.role}-lr{run.rate or 0:g}-s{run.seed}-{run.digest[:12]}",
        "status": "finished",
        "error": None,
        "plan": {key: getattr(run, key) for key in PLAN},
        "claims": [],
        "kind": parts.outline("architecture", architecture).kind,
        "config": {
            "architecture": {"name": architecture},
            "task": {"length": LONGEST if axis == "length" else 64},
            "model": {"width": 64, "layers": run.settings.get("model.layers", 2), "match": "parameters"},
            "train": {"batch": 32, "steps": 1000, "until": run.settings.get("train.until", 1.0)},
            "measure": run.settings.get("measure", "training"),
            "cost": {key: list(run.settings.get(f"cost.{key}", ())) for key in ("lengths", "widths", "positions", "sizes")},
        },
        "metric": metric,
        "solved_at": solved_at,
        "metrics": metrics,
        "notes": {},
        "diagnostics": {when: {"gradient_ratio": 0.5 + score, "effective_rank": 1 + 9 * score} for when in ("start", "end")},
        "slices": slices,
        "curve": [
            {"step": 100 * i, "train_loss": 2.0 / i, f"validation_{metric}": shown * (1 - 4.0**-i)}
            for i in range(1, points + 1)
        ],
        "steps": steps,
        "steps_to_90": reached[0.9],
        "steps_to_solve": reached[0.99],
        "parameters": {"embedding": 3072, "other": 99328},
        "ffn_width": 256,
        "multiply_adds_per_token": 131072.0,
        "multiply_adds_per_answer": 1024.0,
        "peak_memory_bytes": 12_000_000,
        "tokens_seen": steps * 2048,
        "seconds": 20.0,
        "step_seconds": 0.01,
        "reach": reach,
        "chance": 6.0 if lower else 0.125,
        "heuristic": {"name": "made up", "score": 0.14},
        "provenance": {
            "revision": "0" * 40,
            "clean": True,
            "versions": {"python": "3.11"},
            "threads": 1,
            "dtype": "float32",
            "device": "cpu",
            "device_name": "made up",
            "attention_backend": "none",
            "system": "none",
            "started": "2024-01-01T00:00:00+00:00",
            "data": {},
        },
    }
    if run.settings.get("evaluation.structure"):
        made["structure"] = _structure(score)
    if run.settings.get("evaluation.heads"):
        made["heads"] = {"needed": score, "apart": score, "overlap": 1 - score, **BY_HAND}
    made |= changes
    made["checksum"] = records.checksum(made)
    return made


def _structure(score: float) -> dict[str, Any]:
    shares = ("gold", "gold_offset", "cut_gold", "cut_random")
    example = {"tokens": [0, 1, 2], "map": [[100, 0, 0], [40, 60, 0], [80, 10, 10]], "edges": [[2, 0]]}
    return {**{name: score / (i + 1) for i, name in enumerate(shares)}, "head": [1, 2], "offset": -1, "example": example}


def _reach(run: PlannedRun) -> int | None:
    """Layers times window, where the arm has a window; some number for convolutions."""
    window = run.settings.get("mixer.window")
    if window is not None:
        return window * run.settings.get("model.layers", 2)
    return {"convolution": 8, "dilated": 24}.get(str(run.settings.get("mixer")))


def complete(experiment: Experiment, tier: str, score: Score = plausible) -> list[Record]:
    """Records of every run of a tier, in the order of its phases."""
    made: dict[PlannedRun, Record] = {}
    for phase in experiment.phases(tier, made.get):
        for run in phase.runs:
            task = experiment.tasks[run.task]
            if task.measure == "training":
                made[run] = record(run, task.metric, score(run, random.Random(f"{run.digest} {run.role}")))
            else:
                made[run] = measured(run)
    return list(made.values())


def write_run(runs: Path, record: Record) -> None:
    """The folder of a fresh run that ended, in ``runs``."""
    folder = runs / record["name"]
    folder.mkdir(parents=True, exist_ok=True)
    records.write(folder, {key: value for key, value in record.items() if key != "checksum"})


def write_records(folder: Path, at_least: int) -> int:
    """Fill ``folder`` with the study's own experiments, over and over under new names, until there are ``at_least``.

    Returns how many there are. For ``python -m analysis --results FOLDER/results --declarations FOLDER/declarations``.
    """
    results, declarations = folder / "results", folder / "declarations"
    declarations.mkdir(parents=True, exist_ok=True)
    count = copies = 0
    while count < at_least:
        copies += 1
        for name in experiments.names():
            node = yaml.safe_load((experiments.FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
            node["name"] = name if copies == 1 else f"{name}_{copies}"
            (declarations / f"{node['name']}.yaml").write_text(yaml.safe_dump(node, sort_keys=False), encoding="utf-8")
            made = complete(experiments.load(node["name"], declarations), "core")
            records.write_lines(results / "core" / "records" / f"{node['name']}.jsonl", made)
            count += len(made)
            if count >= at_least:
                break
    return count
