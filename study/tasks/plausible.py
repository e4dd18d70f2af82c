"""Whether two files can be sources and targets of each other, judged by their lines."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from study.tasks.vocabulary import Pair

CHUNK = 10_000  # pairs judged together
DIVIDERS = {  # of columns; a comma of prose has a space behind it, and one of a number stands between digits
    "tab": re.compile(r"\t"),
    "comma": re.compile(r"(?<!\d),(?=\S)|,(?=[^\s\d])"),
    "semicolon": re.compile(r";(?=\S)"),
    "|": re.compile(r"\|+"),
}
ALIKE = 0.95  # of all lines have as many columns as most: a few may be broken, or quote a divider
FEWEST = 50  # pairs whose lengths say something: by chance, theirs correlate above RELATED in 1 of 500 shuffled files
# Of lines that belong together, the logarithms of the lengths correlate at 0.76 (SCAN), 0.88 (Multi30k, CMUdict) and 0.97
# (numbers in words and digits); of the same lines in another order at 0, and one line apart at up to 0.4 (CMUdict, sorted).
RELATED = 0.4
# Where all lines are about as long, no length tells anything. Of the same files in another order, 13 to 52 pairs in 100 have
# a ratio of lengths that is more than twice or less than half the usual one; sorted by length, none.
ODD = 0.05
ELSE = ", or say task.unchecked=true where they are meant so"


def plausible(pairs: Iterator[Pair], source: Path, target: Path) -> Iterator[Pair]:
    """The same pairs. Raises ValueError, with the files, where these are columns of a table, hold the same lines, or have lines
    that don't belong together: the longer of one by the longer of the other.
    """
    number = 0
    while chunk := list(islice(pairs, CHUNK)):
        if not number:
            for path, texts in ((source, [pair.source for pair in chunk]), (target, [pair.target for pair in chunk])):
                _refuse_columns(path, texts)
            if len(chunk) > 1 and all(pair.source == pair.target for pair in chunk):
                raise ValueError(f"{source} and {target} hold the same lines: name the other side's file as the target{ELSE}")
        if len(chunk) >= FEWEST:
            _refuse_unrelated(chunk, f"{source} and {target}, lines {number + 1} to {number + len(chunk)}")
        number += len(chunk)
        yield from chunk


def _refuse_columns(path: Path, texts: list[str]) -> None:
    for name, divider in DIVIDERS.items():
        ((columns, times),) = Counter(len(divider.findall(text)) + 1 for text in texts).most_common(1)
        if columns > 1 and len(texts) > 1 and times >= ALIKE * len(texts):
            raise ValueError(f"{path}: lines of {columns} columns with a {name} between; put each in a file of its own{ELSE}")


def _refuse_unrelated(chunk: list[Pair], where: str) -> None:
    source, target = np.log([[len(pair.source) for pair in chunk], [len(pair.target) for pair in chunk]])
    ratio = target - source
    odd = (abs(ratio - np.median(ratio)) > np.log(2)).mean()
    if odd >= ODD and source.std() and target.std() and np.corrcoef(source, target)[0, 1] < RELATED:
        raise ValueError(f"{where}: their lengths don't go together, as if lines had been lost or sorted; align them{ELSE}")
