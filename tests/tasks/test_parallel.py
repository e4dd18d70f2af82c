"""Files of pairs, good and bad."""

import gzip
import itertools
import re

import pytest

from study.tasks.parallel import aligned, lines
from tests.cases import case


@pytest.fixture
def write(tmp_path):
    def written(name, data):
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return written


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_lines_are_pairs_less_the_white_space_at_their_edges(write, suffix):
    source = write(f"source{suffix}", "ein Mann\n\teine\tFrau \nStraße\u2028hier\r\n".encode())
    target = write(f"target{suffix}", b"a man\na woman\nstreet here")
    assert [(pair.source, pair.target, pair.references) for pair in aligned(source, target)] == [
        ("ein Mann", "a man", ("a man",)),
        ("eine\tFrau", "a woman", ("a woman",)),
        ("Straße\u2028hier", "street here", ("street here",)),
    ]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_byte_order_mark_is_no_text(write, suffix):
    path = write(f"marked{suffix}", b"\xef\xbb\xbfein Mann\n\xef\xbb\xbfeine Frau\n")
    assert list(lines(path)) == ["ein Mann", "\ufeffeine Frau"]
    with pytest.raises(ValueError, match="line 1: empty"):
        list(aligned(write(f"void{suffix}", b"\xef\xbb\xbf\n"), write(f"full{suffix}", b"x\n")))


def test_a_file_is_read_as_it_is_asked_for(write):
    """A bad line far behind doesn't matter before it is reached."""
    path = write("endless", b"good\n" * 100_000 + b"\xff\n")
    some = lines(path)
    assert [next(some) for _ in range(3)] == ["good"] * 3


BAD = [
    (b"a\nb\nc\n", b"x\ny\n", "{target} ends before line 3, but {source} goes on: the files must be line-aligned"),
    (b"a\nb\n", b"x\ny\nz\n", "{source} ends before line 3, but {target} goes on: the files must be line-aligned"),
    (b"", b"x\n", "{source} ends before line 1, but {target} goes on: the files must be line-aligned"),
    (b"a\n \t\nc\n", b"x\ny\nz\n", "{source}, line 2: empty; give it text, or take the pair out of both files"),
    (b"a\nb\nc\n", b"x\ny\n\n", "{target}, line 3: empty; give it text, or take the pair out of both files"),
    (b"a\nb\n", b"x\n\xe4y\n", "{target}, line 2: not UTF-8 (invalid continuation byte); convert the file to UTF-8"),
    (b"a\xff\n", b"x\n", "{source}, line 1: not UTF-8 (invalid start byte); convert the file to UTF-8"),
    (b"", b"", "{source} and {target} are empty; a split needs pairs"),
]


def test_bad_files(write):
    for (source, target, message), suffix in itertools.product(BAD, ("", ".gz")):
        paths = {"source": write(f"source{suffix}", source), "target": write(f"target{suffix}", target)}
        with case(message, suffix), pytest.raises(ValueError, match=f"^{re.escape(message.format(**paths))}$"):
            list(aligned(**paths))


@pytest.mark.parametrize("cut", [10, 30])
def test_a_gzip_that_was_cut_off(write, cut):
    path = write("cut.gz", b"\n".join(str(number).encode() for number in range(100)))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match=r"cut.gz, after line \d+: broken gzip \(.+\); compress the file again$"):
        list(lines(path))


def test_no_gzip_at_all(tmp_path):
    (tmp_path / "plain.gz").write_bytes(b"plain text\n")
    with pytest.raises(ValueError, match=r"plain.gz, after line 0: broken gzip \(.+\); compress the file again$"):
        list(lines(tmp_path / "plain.gz"))
