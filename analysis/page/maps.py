"""What runs looked at, as the page's script reads it: attention maps, alignments with their tokens, and glimpses of images."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from typing import Any

from study.records import Record

MOST_TOKENS = 48  # of a map's side
INKS = string.digits + string.ascii_lowercase  # a pixel, from nothing to full
FULL = 100  # of a pixel, in hundredths


def maps(records: Sequence[Record]) -> list[list[Any]]:
    """[run, caption, queries, keys, weights of 100, gold edges] of every record that keeps a map with its tokens."""
    return [[index, *found] for index, record in enumerate(records) for found in _maps(record)]


def glimpses(records: Sequence[Record]) -> dict[str, Any]:
    """``images``: each as rows of ``INKS``, once; ``seen``: [run, split, [[image, row, column, row, column, ...], ...]].

    Rows and columns are pixels from the image's corner.
    """
    images: dict[tuple[str, ...], int] = {}  # runs of a task are tested on the same ones
    seen = []
    for index, record in enumerate(records):
        for split, written in (record.get("written") or {}).items():
            if samples := written.get("glimpses"):
                at = [images.setdefault(tuple(map(_inked, sample["image"])), len(images)) for sample in samples]
                paths = [
                    [image, *(x for place in sample["path"] for x in place)] for image, sample in zip(at, samples, strict=True)
                ]
                seen.append([index, split, paths])
    return {"images": [list(rows) for rows in images], "seen": seen}


def _maps(record: Record) -> Iterator[list[Any]]:
    example = (record.get("structure") or {}).get("example")
    if example and example.get("tokens"):
        tokens = [str(token) for token in example["tokens"][:MOST_TOKENS]]
        layer_head = record["structure"].get("head") or []
        caption = "layer {}, head {}".format(*layer_head) if len(layer_head) == 2 else "attention"
        yield [caption, tokens, tokens, _weights(example["map"], 1), example["edges"]]
    for split, written in (record.get("written") or {}).items():
        for sample in (written.get("samples") or [])[:1]:
            if sample.get("weights"):
                source, output = (list(map(str, sample[side][:MOST_TOKENS])) for side in ("source", "output"))
                yield [f"alignment, {split}", output, source, _weights(sample["weights"], 100), []]


def _weights(rows: Sequence[Sequence[float]], times: int) -> list[str]:
    """Rows of whole hundredths, each row a text."""
    return [" ".join(str(round(times * weight)) for weight in row[:MOST_TOKENS]) for row in rows[:MOST_TOKENS]]


def _inked(row: Sequence[int]) -> str:
    last = len(INKS) - 1
    return "".join(INKS[min(last, round(last * pixel / FULL))] for pixel in row)
