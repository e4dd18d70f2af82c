"""MNIST's digits in clutter (LeCun et al. 1998; Mnih et al. 2014, section 4.1).

`study.tasks.clutter` shows a sample, of other digits.
"""

import gzip
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from study.tasks.clutter import Clutter
from study.tasks.download import pinned_file

VALIDATION = 1 / 12  # share of the published training digits: 5,000 of 60,000


class ClutteredMnist(Clutter):
    """Of the published training digits, in the order of a fixed permutation, the last twelfth validates and the rest trains;
    the published test digits test. Raises what `study.tasks.download.pinned_file` raises.
    """

    name = "mnist"
    url = "https://raw.githubusercontent.com/fgnt/mnist/ae608a02b796c9ee908c082585a5f006fe05258e"
    folder = Path("mnist")
    sha256: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    }

    def __init__(self, *, size: int = 60, digit: int = 28, distractors: int = 4, root: str, download: bool):
        images, labels, test_images, test_labels = (
            idx(pinned_file(Path(root).expanduser() / self.folder / name, f"{self.url}/{name}", sha256, download))
            for name, sha256 in self.sha256.items()
        )
        order_N = torch.randperm(len(labels), generator=torch.Generator("cpu").manual_seed(0), device="cpu")
        validation = round(VALIDATION * len(labels))
        digits = {
            "train": (images[order_N[:-validation]], labels[order_N[:-validation]].long()),
            "validation": (images[order_N[-validation:]], labels[order_N[-validation:]].long()),
            "test": (test_images, test_labels.long()),
        }
        self.images = len(labels) + len(test_labels)
        super().__init__(digits=digits, size=size, digit=digit, distractors=distractors)

    def provenance(self) -> dict[str, Any]:
        return {"source": self.url, "path": self.folder.as_posix(), "sha256": self.sha256, "images": self.images}


def idx(data: bytes) -> Tensor:
    """The bytes (uint8) of a gzipped file in idx format, in its shape.

    The format: two zeros, 8 for bytes, the number of axes; each axis' length as a big-endian 32-bit number; the bytes.
    """
    plain = gzip.decompress(data)
    axes = plain[3]
    shape = [int.from_bytes(plain[at : at + 4], "big") for at in range(4, 4 + 4 * axes, 4)]
    return torch.frombuffer(bytearray(plain[4 + 4 * axes :]), dtype=torch.uint8).view(shape)
