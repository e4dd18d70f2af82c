"""Which entry of a vector is the greatest."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from study.tasks.base import Task


@dataclass
class VectorBatch:
    vectors_BD: Tensor
    targets_BT: Tensor  # T = 1
    slices: dict[str, Tensor] = field(default_factory=dict)
    characters_BT: Tensor | None = None

    def inputs(self):
        return {"vectors_BD": self.vectors_BD}


class Greatest(Task):
    name = "greatest"
    kind = "vectors"
    causal = False
    vocabulary = 0
    length = 1

    def __init__(self, *, entries: int = 4) -> None:
        self.classes = entries

    def batch(self, size, generator, split="train"):
        vectors_BD = torch.randn(size, self.classes, generator=generator, device=generator.device)
        return VectorBatch(vectors_BD, vectors_BD.argmax(1, keepdim=True))

    def solve(self, tokens):
        return []
