"""Two text files whose lines are pairs, read and checked line by line."""

import gzip
import zlib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from study.tasks.vocabulary import Pair


def aligned(source: Path, target: Path) -> Iterator[Pair]:
    """Line i of one file with line i of the other, without the white space at their edges.

    Raises ValueError, with file and line, where one of the files ends first, a side is empty, or bytes aren't UTF-8; and where
    there is no line at all.
    """
    number = 0
    for number, (ours, theirs) in enumerate(zip_longest(lines(source), lines(target)), start=1):
        for path, other, text in ((source, target, ours), (target, source, theirs)):
            if text is None:
                raise ValueError(f"{path} ends before line {number}, but {other} goes on: the files must be line-aligned")
            if not text:
                raise ValueError(f"{path}, line {number}: empty; give it text, or take the pair out of both files")
        yield Pair(ours, theirs, (theirs,))
    if not number:
        raise ValueError(f"{source} and {target} are empty; a split needs pairs")


def lines(path: Path) -> Iterator[str]:
    """Lines of a text file, plain or (by its name) .gz, without the white space at their edges. A line ends on a newline.

    A byte order mark, with which some editors begin a file, is no text.
    """
    number = 0
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        try:
            for line in file:
                number += 1
                yield line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}, line {number}: not UTF-8 ({error.reason}); convert the file to UTF-8") from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}, after line {number}: broken gzip ({error}); compress the file again") from None
