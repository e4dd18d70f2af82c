"""Scores of one evaluation, whole and per slice, gathered in one pass on the device.

B sequences, T scored places, V classes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional as F

from study.tasks.base import IGNORE, AnyBatch


class Scores:
    """Counts of scored items, of right answers and of the characters that the items stand for, and the summed loss.

    Of all items, and of each value of each slice.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.totals: list[torch.Tensor] = []  # of each batch (4,), float64
        self.sliced: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}  # of each batch: values (M,), tallies (M, 4)

    @torch.no_grad()
    def update(self, logits_BTV: torch.Tensor, batch: AnyBatch) -> None:
        logits_MV = logits_BTV.flatten(0, 1).float()
        target_M = batch.targets_BT.flatten()
        loss_M = F.cross_entropy(logits_MV, target_M, ignore_index=IGNORE, reduction="none")
        scored_M = target_M != IGNORE
        right_M = scored_M & (logits_MV.argmax(-1) == target_M)
        characters_M = scored_M if batch.characters_BT is None else batch.characters_BT.flatten() * scored_M
        tally_M4 = torch.stack([scored_M.double(), right_M.double(), characters_M.double(), loss_M.double()], dim=-1)
        self.totals.append(tally_M4.sum(0))
        for name, value_BT in batch.slices.items():
            value_M = torch.where(scored_M, value_BT.flatten(), 0)
            self.sliced.setdefault(name, []).append((value_M, tally_M4))

    def compute(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """(scores of all items, scores per slice and value).

        ``loss`` is in nats per item, ``bits_per_character`` the summed loss over characters and ln 2; ``characters`` stands
        beside ``items`` where the two differ.
        """
        slices = {
            name: {str(value): _scores(row) for value, row in enumerate(_sums(parts).tolist()) if row[0]}
            for name, parts in self.sliced.items()
        }
        return _scores(sum(self.totals, torch.zeros_like(self.totals[0])).tolist()), slices


def _sums(parts: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Tallies (values, 4) of all batches. How many values there are is asked for here, once: a batch's update never waits."""
    values = 1 + max(int(value_M.max()) for value_M, _ in parts)
    total = torch.zeros(values, 4, dtype=torch.float64, device=parts[0][0].device)
    for value_M, tally_M4 in parts:
        total += torch.zeros_like(total).index_add_(0, value_M, tally_M4)
    return total


def _scores(row: list[float]) -> dict[str, Any]:
    items, right, characters, loss = row
    scores = {
        "items": int(items),
        "accuracy": right / items,
        "loss": loss / items,
        "bits_per_character": loss / characters / math.log(2),
    }
    return scores if characters == items else scores | {"characters": int(characters)}
