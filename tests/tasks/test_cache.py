import hashlib
import multiprocessing
import os
import time

import pytest

from study.tasks.cache import cached, sha256


def test_made_once_and_anew_for_other_content(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "file").write_text("content")

    first = cached(tmp_path / "cache", "kind", ["a", 1], make)
    assert (first / "file").read_text() == "content" and len(made) == 1
    assert cached(tmp_path / "cache", "kind", ["a", 1], make) == first and len(made) == 1
    others = {cached(tmp_path / "cache", kind, content, make) for kind, content in (("kind", ["a", 2]), ("other", ["a", 1]))}
    assert len(others | {first}) == 3 and len(made) == 3
    assert sorted((tmp_path / "cache").iterdir()) == sorted({*others, first}), "nothing else is left behind"
    assert os.stat(first).st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError("bad line"), OSError("disk full")])
def test_nothing_is_left_of_what_failed(tmp_path, error):
    def make(folder):
        (folder / "half").write_text("half")
        raise error

    with pytest.raises(type(error), match=str(error)):
        cached(tmp_path, "kind", [], make)
    assert list(tmp_path.iterdir()) == []


def slowly(folder):
    (folder / "file").write_text("content")
    time.sleep(0.5)


def test_two_processes_may_make_it_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(cached, [(tmp_path, "kind", [], slowly)] * 2, chunksize=1)
    assert first == second and [path.name for path in tmp_path.iterdir()] == [first.name]
    assert (first / "file").read_text() == "content"


def test_sha256_is_that_of_the_bytes_and_sees_a_change(tmp_path):
    path = tmp_path / "file"
    for number, data in enumerate([b"one", b"two", b"more"]):
        path.write_bytes(data)
        os.utime(path, (number, number))
        assert sha256(path) == hashlib.sha256(data).hexdigest()
