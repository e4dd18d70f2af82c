"""The weights of a finished run, in its folder."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import torch

from study import files, records

NAME = records.WEIGHTS


def digest(weights: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in weights.values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def keep(folder: Path, model: torch.nn.Module) -> None:
    with files.replacing(folder / NAME) as temporary:
        torch.save(model.state_dict(), temporary)


def load(folder: Path) -> dict[str, torch.Tensor]:
    """Onto the CPU. Raises torch's own error where the file holds anything but tensors."""
    return torch.load(folder / NAME, map_location="cpu", weights_only=True)


def are_kept(folder: Path, record: records.Record) -> bool:
    """Whether the folder holds the weights of ``record``; warns of a file that can't be read."""
    try:
        return digest(load(folder)) == record["weights_sha256"]
    except FileNotFoundError:
        return False
    except Exception as error:  # of many types, and none that promises to be all
        warnings.warn(f"{folder / NAME} can't be read ({type(error).__name__}): trained again", stacklevel=2)
        return False
