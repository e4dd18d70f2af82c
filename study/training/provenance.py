"""What is known of a run before it is made: which it is, and what it is made with."""

from __future__ import annotations

import datetime
import functools
import hashlib
import platform
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from study import parts, records, schema

ROOT = Path(__file__).parent.parent.parent


def known(config: DictConfig, name: str, command: str | None, data: dict[str, Any]) -> dict[str, Any]:
    """What a record holds whatever becomes of its run."""
    origin = config.origin
    return {
        "id": schema.identity(config),
        "name": name,
        "plan": {
            "experiment": origin.experiment,
            "tier": config.tier,
            "arm": origin.arm,
            "task": origin.task,
            "role": origin.role,
            "rate": config.train.rate if config.measure == "training" else None,
            "seed": config.seed,
            "digest": origin.digest,
        },
        "claims": list(origin.claims),
        "kind": parts.outline("task", config.task.name).kind,
        "command": command,
        "config": schema.portable(config),
        "metrics": {},
        "slices": {},
        "notes": {},
        "curve": [],
        "provenance": {**_provenance(config.trainer), "data": data},
    }


def _provenance(trainer: DictConfig) -> dict[str, Any]:
    on_gpu = trainer.accelerator == "gpu" and torch.cuda.is_available()
    return {
        **_git_state(),
        "versions": records.versions("torch", "pytorch-lightning", "hydra-core", "wandb"),
        "device": "cuda" if on_gpu else "cpu",
        "device_name": torch.cuda.get_device_name() if on_gpu else platform.processor() or platform.machine(),
        "threads": trainer.threads,
        "dtype": "bfloat16 autocast" if trainer.precision == "bf16-mixed" else "float32",
        "attention_backend": "torch scaled_dot_product_attention" if on_gpu else "torch, CPU",
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "system": f"{platform.system()} {platform.machine()}",
    }


@functools.cache
def _git_state() -> dict[str, Any]:
    return records.git_state(ROOT)


@functools.cache
def code() -> str:
    """Hash of the study's own sources, as they are when this process makes its first run."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "study").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
