"""Files and folders that appear whole or not at all."""

import os
import time

import pytest

from study import files


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_new_takes_the_place_of_the_old_at_the_end(tmp_path, kind):
    path = tmp_path / "it"

    def fill(where, text):
        if kind == "folder":
            where.mkdir()
            where = where / "inside"
        where.write_text(text)

    def text():
        return (path / "inside" if kind == "folder" else path).read_text()

    fill(path, "old")
    with files.replacing(path) as temporary:
        fill(temporary, "new")
        assert text() == "old"
    assert text() == "new" and os.listdir(tmp_path) == ["it"]
    with pytest.raises(OSError, match="no room"), files.replacing(path) as temporary:
        fill(temporary, "half")
        raise OSError("no room")
    assert text() == "new" and os.listdir(tmp_path) == ["it"]


def test_leftovers_of_some_age_are_swept_and_nothing_else(tmp_path):
    for name in (".a.1.tmp", ".b.2.tmp", "c.tmp", ".d"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".e.3.tmp").mkdir()
    (tmp_path / ".e.3.tmp" / "inside").write_text("x")
    (tmp_path / ".f.4.tmp").symlink_to(tmp_path / "nowhere")
    os.utime(tmp_path / ".a.1.tmp", (0, time.time() - 100))
    files.sweep(tmp_path, age=50)
    assert set(os.listdir(tmp_path)) == {".b.2.tmp", "c.tmp", ".d", ".e.3.tmp", ".f.4.tmp"}
    files.sweep(tmp_path)
    assert set(os.listdir(tmp_path)) == {"c.tmp", ".d"}
