"""What W&B is told of a run: config keys to group by, a row of history per evaluation, a summary of few numbers.

Keys are ``train/...``, ``validation/...`` and ``test/...``, under which W&B makes a panel each. All else that a record holds is
in its file, an artifact of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from study import parts, schema
from study.metrics import METRICS

MAPS = "attention/maps"
STEP = "step"  # the key that charts are drawn over: optimiser steps
SUMMED_UP = (  # of a record, beside its scores
    "status",
    "error",
    "steps",
    "tested_at",
    "steps_to_90",
    "steps_to_solve",
    "tokens_seen",
    "multiply_adds_per_token",
    "multiply_adds_per_answer",
    "peak_memory_bytes",
    "seconds",
    "train_seconds",
    "step_seconds",
    "weights_sha256",
)


def config(own: DictConfig) -> dict[str, Any]:
    """What runs are grouped and filtered by, under plain keys: W&B advises against dots, and nests all other settings."""
    origin = own.origin
    return {
        **{group: own[group].name for group in parts.GROUPS},
        "task": origin.task or own.task.name,
        "experiment": origin.experiment,
        "arm": origin.arm,
        "role": origin.role,
        "tier": own.tier,
        "rate": own.train.rate,
        "seed": own.seed,
        "settings": schema.portable(own),
    }


def label(own: DictConfig) -> str:
    """A short name for ``wandb leet``, which shows 19 characters of it on a terminal of 100 columns: other for each run."""
    which = [own.origin.arm or own.mixer.name, own.origin.task or own.task.name, f"lr{own.train.rate:g}", own.origin.role]
    return "-".join([f"s{own.seed}", schema.identity(own)[:4], *which, *filter(None, [own.origin.experiment])])


def row(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the learning curve, with what else is known of the steps before it."""
    return {key.replace("_", "/", 1): value for key, value in evaluation.items()}


def scores(record: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of the trained weights, by split; validation's are in the history already, the training loss beside them."""
    return {
        f"{'on_train' if split == 'train' else split}/{name}": value
        for split, found in record["metrics"].items()
        for name, value in found.items()
        if name in METRICS and split != "validation"
    }


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    counts = {f"parameters/{name}": count for name, count in record.get("parameters", {}).items()}
    return {key: record[key] for key in SUMMED_UP if record.get(key) is not None} | counts


def kept_of(key: str) -> str | None:
    """What W&B's summary keeps of a key of the history: the best value, also the last one, or none. None: just the last one.

    It stays short: of the trained weights' scores the loss is left out, as bits per character say the same.
    """
    split, _, name = key.partition("/")
    if split not in ("train", "validation"):
        return "none" if name == "loss" else None
    if name not in METRICS:
        return "mean" if name == "tokens_per_second" else "none"
    best = "max" if METRICS[name].sign > 0 else "min"
    return best if split == "train" else f"{best},last"
