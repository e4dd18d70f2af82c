"""One digit somewhere in an image, among pieces of other digits: which digit is it?

The translated and cluttered digits of Mnih et al. 2014 (section 4.1), with any digits.

>>> print(ClutteredDigits(size=16, digit=10, distractors=2).sample())
. . . . . . . . . . . : # : . .
. . . . . . . . . . : + : . . .
. . . . + # # + : # + + : . . .
. . . : # # + : + # + : : : : .
. . . + # + : : # # + . # + + :
. . : + # : . : # # + + # # # :
. . + # # + : : # + # # # + : .
. . . + # + # # # # + + # : . .
. . . . . . : + + # # # + . . .
. . . . . . . + + # # # + : . .
. . . . : + + # + . . . . . . .
. . . . + # # # : . . . . . . .
. . . . . . . . . . . . . . . .
. . . . . . . . . . . . . . . .
. . . . . . . . . . . . . . . .
. . . . . . . . . . . . . . . .
answer 5

Shapes: B images, H = W pixels a side, N digits of S x S pixels, K pieces pasted into an image.
"""

import hashlib
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from study.tasks.base import Constant, at_least, up_to_power_of_two
from study.tasks.images import ImageBatch, ImageTask

PIECE = 8  # pixels a side of what is cut out of other digits, as in the paper
Digits = tuple[Tensor, Tensor]  # images (N, S, S) uint8, from 0 to 255; what they show (N,)


class Clutter(ImageTask):
    """A digit at a random place, and `distractors` random pieces of other digits at random places.

    Where things overlap the brighter pixel shows, as digits are bright on black. All of an image comes from digits of its
    own split.
    """

    classes = 10
    solved_at = None

    def __init__(self, *, digits: dict[str, Digits], size: int = 40, digit: int = 16, distractors: int = 4):
        at_least(digit=(digit, PIECE), size=(size, digit), distractors=(distractors, 0))
        self.size, self.digit, self.distractors = size, digit, distractors
        self.digits = {
            split: (Constant(resized(images_NSS, digit)), Constant(labels_N))
            for split, (images_NSS, labels_N) in digits.items()
        }

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> ImageBatch:
        device, K, S = generator.device, self.distractors, self.digit

        def uniform(count: int, *shape: int) -> Tensor:
            return torch.randint(count, (size, *shape), generator=generator, device=device)

        images_NSS, labels_N = (part.on(device) for part in self._of(split))
        N = len(labels_N)
        which_B1 = uniform(N, 1)
        other_BK = (which_B1 + 1 + uniform(N - 1, K)) % N  # any but the digit itself
        corner_B12 = uniform(self.size - S + 1, 1, 2)
        rows, columns = square(uniform(S - PIECE + 1, K, 2), PIECE)
        pieces_BKPP = images_NSS[other_BK[..., None, None], rows, columns]
        images_BHW = torch.zeros(size, self.size, self.size, device=device)
        paste_(images_BHW, pieces_BKPP / 255, uniform(self.size - PIECE + 1, K, 2))
        paste_(images_BHW, images_NSS[which_B1] / 255, corner_B12)
        middle_B2 = corner_B12[:, 0] + S / 2
        distance_B1 = (middle_B2 - self.size / 2).norm(dim=1, keepdim=True)
        return ImageBatch(
            images_BHW,
            labels_N[which_B1],
            slices={"distance": up_to_power_of_two(distance_B1.ceil().long().clamp(min=1))},
            centres_B2=2 * middle_B2 / self.size - 1,
        )

    @property
    def heuristic(self) -> tuple[str, float]:
        labels_N = self._of("test")[1].on(torch.device("cpu"))
        return "always the digit that is commonest in the test", int(labels_N.bincount().max()) / len(labels_N)

    def _of(self, split: str) -> tuple[Constant, Constant]:
        if split not in self.digits:
            raise ValueError(f"unknown split {split!r} of digits; use one of {', '.join(self.digits)}")
        return self.digits[split]


def resized(images_NSS: Tensor, side: int) -> Tensor:
    """Digits of `side` x `side` pixels, by bilinear interpolation; those that have this size stay as they are."""
    if images_NSS.shape[-1] == side:
        return images_NSS
    smooth = F.interpolate(images_NSS[:, None].float(), (side, side), mode="bilinear", antialias=True)
    return smooth[:, 0].round().to(torch.uint8)


def square(corner_BK2: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Rows (B, K, side, 1) and columns (B, K, 1, side) of the squares whose first pixels are given."""
    step = torch.arange(side, device=corner_BK2.device)
    return corner_BK2[..., 0, None, None] + step[:, None], corner_BK2[..., 1, None, None] + step


def paste_(images_BHW: Tensor, patches_BKSS: Tensor, corner_BK2: Tensor) -> None:
    """Put K squares into each image, in place; the brighter pixel shows."""
    rows, columns = square(corner_BK2, patches_BKSS.shape[-1])
    where = rows * images_BHW.shape[-1] + columns
    images_BHW.view(len(images_BHW), -1).scatter_reduce_(1, where.flatten(1), patches_BKSS.flatten(1), "amax")


class ClutteredDigits(Clutter):
    """scikit-learn's bundled digits (1,797 of 8 x 8 pixels: UCI's optical recognition of handwritten digits, test part).

    Of a fixed permutation, the first 1,197 digits train, the next 200 validate, the last 400 test.
    """

    name = "clutter"
    sizes = {"train": 1197, "validation": 200, "test": 400}

    def __init__(self, *, size: int = 40, digit: int = 16, distractors: int = 4):
        images_NSS, labels_N = _bundled()
        order_N = torch.randperm(len(labels_N), generator=torch.Generator("cpu").manual_seed(0), device="cpu")
        parts = zip(self.sizes, order_N.split(list(self.sizes.values())), strict=True)
        digits = {split: (images_NSS[part], labels_N[part]) for split, part in parts}
        super().__init__(digits=digits, size=size, digit=digit, distractors=distractors)

    def provenance(self) -> dict[str, Any]:
        images_NSS, labels_N = _bundled()
        return {
            "source": "sklearn.datasets.load_digits",
            "path": "sklearn/datasets/data/digits.csv.gz",
            "sha256": hashlib.sha256(images_NSS.numpy().tobytes()).hexdigest(),  # of the pixels, from 0 to 255
            "images": len(labels_N),
        }


def _bundled() -> Digits:
    from sklearn.datasets import load_digits  # slow to import: only when asked for

    bunch = load_digits()  # pixels from 0 to 16
    return torch.from_numpy(bunch.images * 255 / 16).round().to(torch.uint8), torch.from_numpy(bunch.target).long()
