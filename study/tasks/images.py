"""Tasks that name what an image shows.

Shapes: B images, H rows, W columns.
"""

from abc import abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from study.tasks.base import Task


@dataclass
class ImageBatch:
    images_BHW: Tensor  # float, from 0 (empty) to 1
    targets_BT: Tensor  # long, T = 1: the class of each image
    slices: dict[str, Tensor] = field(default_factory=dict)  # long (B, 1), small, >= 0
    centres_B2: Tensor | None = None  # float, row and column of the object, from -1 to 1 (0: the middle of the image)
    characters_BT: Tensor | None = None

    def inputs(self) -> dict[str, Tensor]:
        """What the model is called with."""
        return {"images_BHW": self.images_BHW}


class ImageTask(Task):
    """A source of images of `size` x `size` pixels, each of one class."""

    kind = "images"
    causal = False
    vocabulary = 0  # images hold no tokens
    length = 1
    size: int  # H = W

    @abstractmethod
    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> ImageBatch: ...

    def solve(self, tokens: list[int]) -> list[int]:
        return []  # nothing plain names what an image shows

    def sample(self, seed: int = 0) -> str:
        """An image, the brighter the denser, and its class."""
        batch = self.batch(1, torch.Generator().manual_seed(seed))
        rows = [" ".join(".:+#"[int(3.99 * pixel)] for pixel in row) for row in batch.images_BHW[0].tolist()]
        return "\n".join([*rows, f"answer {int(batch.targets_BT)}"])
