"""Tokenised pairs on disk, memory-mapped: as many as the disk holds, in the memory of a few numbers for each pair.

L: lengths of a pair, that of its longer side, from 0 on.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


class Ragged:
    """Rows of numbers of different lengths: all of them in one file, and where each starts in another."""

    def __init__(self, folder: Path, name: str, kind: type[np.integer]):
        self.values = np.memmap(folder / f"{name}.values", kind, "r")
        self.starts = np.memmap(folder / f"{name}.starts", np.int64, "r")

    def __getitem__(self, row: int) -> Any:
        return self.values[self.starts[row] : self.starts[row + 1]]


class RaggedWriter:
    """The same, to be appended to."""

    def __init__(self, folder: Path, name: str, kind: type[np.integer]):
        self.folder, self.name, self.kind = folder, name, kind
        self.values = (folder / f"{name}.values").open("wb")
        self.sizes: list[np.ndarray] = []

    def add(self, rows: Sequence[Any]) -> np.ndarray:
        """All rows in one, as it was written."""
        flat = np.concatenate([np.asarray(row, self.kind) for row in rows])
        self.values.write(flat.tobytes())
        self.sizes.append(np.array([len(row) for row in rows], np.int64))
        return flat

    def close(self) -> np.ndarray:
        """The sizes of all rows."""
        self.values.close()
        sizes = np.concatenate(self.sizes)
        np.concatenate([[0], sizes.cumsum()]).astype(np.int64).tofile(self.folder / f"{self.name}.starts")
        return sizes


class Store:
    """Pairs of one split: `source` and `target` tokens, END included, and `references`, UTF-8 text with a line for each.

    order: numbers of the pairs by rising length. pairs_L, sources_L, targets_L: how many pairs, source tokens and target
    tokens there are of each length; longest_L: the longest target among these. counts: how often each target token occurs.
    """

    def __init__(self, folder: Path):
        self.source = Ragged(folder, "source", np.int32)
        self.target = Ragged(folder, "target", np.int32)
        self.references = Ragged(folder, "references", np.uint8)
        self.order = np.memmap(folder / "order", np.int64, "r")
        with np.load(folder / "lengths.npz") as lengths:
            self.pairs_L, self.sources_L, self.targets_L = lengths["pairs"], lengths["sources"], lengths["targets"]
            self.longest_L, self.counts = lengths["longest"], lengths["counts"]
            self.longest_source, self.longest_target = lengths["sides"].tolist()

    def __len__(self) -> int:
        return len(self.order)

    @staticmethod
    def write(folder: Path, chunks: Iterable[tuple[list[list[int]], list[list[int]], list[str]]], vocabulary: int) -> None:
        """Fill an empty folder from chunks of sources, targets and references, read once.

        Target tokens are below `vocabulary`. At least one chunk, and none is empty.
        """
        sources, targets = (RaggedWriter(folder, name, np.int32) for name in ("source", "target"))
        references = RaggedWriter(folder, "references", np.uint8)
        counts = np.zeros(vocabulary, np.int64)
        for source, target, texts in chunks:
            sources.add(source)
            counts += np.bincount(targets.add(target), minlength=vocabulary)
            references.add([np.frombuffer(text.encode(), np.uint8) for text in texts])
        source_P, target_P, _ = (writer.close() for writer in (sources, targets, references))
        length_P = np.maximum(source_P, target_P)
        np.argsort(length_P, kind="stable").astype(np.int64).tofile(folder / "order")
        longest_L = np.zeros(length_P.max() + 1, np.int64)
        np.maximum.at(longest_L, length_P, target_P)
        np.savez(
            folder / "lengths.npz",
            pairs=np.bincount(length_P),
            sources=np.bincount(length_P, source_P).astype(np.int64),
            targets=np.bincount(length_P, target_P).astype(np.int64),
            longest=longest_L,
            counts=counts,
            sides=np.array([source_P.max(), target_P.max()]),
        )
