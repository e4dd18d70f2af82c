"""A record is whole and unedited, or it is named and not believed."""

import errno
import json
import os
import random
import signal
import subprocess
import sys

import pytest

from study import records
from study.records import RecordError

RUN = {"name": "toy-lr0.01-s0-abc", "id": "abc", "status": "finished", "metrics": {"test": {"accuracy": 0.1 + 0.2}}}


def made(name="toy", **fields):
    return {**RUN, "name": name, **fields}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "runs" / "toy"
    path.mkdir(parents=True)
    return path


def test_written_is_read_back_exactly(folder):
    written = records.write(folder, made(curve=[{"step": 1, "loss": 1 / 3}], note="sinusoïdal, 正弦"))
    read = records.read(folder / records.NAME)
    assert read == written
    assert read["metrics"]["test"]["accuracy"] == 0.1 + 0.2  # to the last bit
    assert read["note"] == "sinusoïdal, 正弦"
    assert read["schema"] == records.SCHEMA == 1
    assert [path.name for path in folder.iterdir()] == [records.NAME]  # nothing left beside it


def test_what_is_returned_is_what_a_reader_gets(folder):
    """Keys become strings, tuples lists: before the checksum, so that it fits what is read."""
    written = records.write(folder, made(slices={1: (2, 3)}))
    assert written["slices"] == {"1": [2, 3]} == records.read(folder / records.NAME)["slices"]


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_record_and_nothing_half_written(folder, monkeypatch, broken):
    old = records.write(folder, made())

    def full(*_):
        raise FULL

    monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError, match="No space left"):
        records.write(folder, made(status="failed"))
    monkeypatch.undo()
    assert records.read(folder / records.NAME) == old
    assert [path.name for path in folder.iterdir()] == [records.NAME]


def test_a_kill_in_the_midst_of_writing_leaves_the_old_record(folder):
    old = records.write(folder, made())
    code = (
        "import os, signal, sys; from pathlib import Path; from study import records;"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL);"
        "records.write(Path(sys.argv[1]), {'status': 'failed', 'name': 'toy', 'long': 'x' * 10**6})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert records.read(folder / records.NAME) == old
    assert list(records.load_runs(folder.parent)) == [old]  # what the kill left lying is no record


def broken_texts():
    folder_text = json.dumps({"schema": 1, "status": "finished"})
    sealed = {"schema": 1, **RUN}
    sealed["checksum"] = records.checksum(sealed)
    text = json.dumps(sealed)
    return {
        "empty": ("", "not a whole JSON record"),
        "half": (text[: len(text) // 2], "not a whole JSON record"),
        "zeros": ("\0" * 50, "not a whole JSON record"),
        "no object": ("[1, 2]", "not a record of schema 1"),
        "other schema": (text.replace('"schema": 1', '"schema": 2'), "not a record of schema 1"),
        "unknown status": (text.replace("finished", "great"), "not a record of schema 1"),
        "no checksum": (folder_text, "its checksum does not fit, so it was edited"),
        "a better score": (text.replace("0.30000000000000004", "0.99"), "its checksum does not fit, so it was edited"),
        "NaN": (text.replace("0.30000000000000004", "NaN"), "NaN is no number"),
        "infinity": (text.replace("0.30000000000000004", "-Infinity"), "-Infinity is no number"),
        "a huge number": (text.replace("0.30000000000000004", "1e999"), "1e999 is no number"),
    }


@pytest.mark.parametrize("kind", broken_texts())
def test_a_record_that_cant_be_believed_is_named_with_the_mend(folder, kind):
    text, why = broken_texts()[kind]
    path = folder / records.NAME
    path.write_text(text)
    with pytest.raises(RecordError) as caught:
        records.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert why in message and "launch the run again" in message


def test_bytes_that_are_no_text_are_named_too(folder):
    records.write(folder, made())
    path = folder / records.NAME
    path.write_bytes(path.read_bytes().replace(b"toy", b"t\xffy"))
    with pytest.raises(RecordError):
        records.read(path)
    lines = folder / "all.jsonl"
    lines.write_bytes(path.read_bytes())
    assert [type(found) for found in records.load_lines(lines)] == [RecordError]


def test_a_broken_record_is_listed_and_the_others_are_read(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
    first, last = records.write(tmp_path / "a", made("a")), records.write(tmp_path / "c", made("c"))
    (tmp_path / "b" / records.NAME).write_text("{")
    found = list(records.load_runs(tmp_path))
    assert [found[0], found[2]] == [first, last]
    assert isinstance(found[1], RecordError) and str(tmp_path / "b") in str(found[1])


def test_nan_never_becomes_a_number(folder):
    with pytest.raises(ValueError):
        records.write(folder, made(metrics={"loss": float("nan")}))
    assert not list(folder.iterdir())
    cleaned = records.finite({"a": [float("nan"), 1.5, (float("inf"),)], "b": {"c": float("-inf")}, "d": 0, "e": "nan"})
    assert cleaned == {"a": [None, 1.5, [None]], "b": {"c": None}, "d": 0, "e": "nan"}
    assert records.write(folder, made(metrics=cleaned))["metrics"]["b"] == {"c": None}


def test_json_lines_come_back_whole_and_in_an_order_of_their_own(tmp_path):
    folders = [tmp_path / f"{i}" for i in range(6)]
    for folder in folders:
        folder.mkdir()
    sealed = [records.write(folder, made(f"run-{i}")) for i, folder in enumerate(folders)]
    path = tmp_path / "deep" / "er" / "all.jsonl"
    records.write_lines(path, sealed)
    assert list(records.load_lines(path)) == sealed
    text = path.read_text()
    shuffled = random.Random(3).sample(sealed, len(sealed))
    assert shuffled != sealed
    records.write_lines(path, shuffled)
    assert path.read_text() == text
    assert len(text.splitlines()) == 6


def test_an_edited_line_is_named_by_file_and_number(tmp_path):
    (tmp_path / "r").mkdir()
    sealed = [records.write(tmp_path / "r", made(f"run-{i}")) for i in range(3)]
    path = tmp_path / "all.jsonl"
    records.write_lines(path, sealed)
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace("0.30000000000000004", "0.9")
    path.write_text("\n".join(lines) + "\n")
    found = list(records.load_lines(path))
    assert [found[0], found[2]] == [sealed[0], sealed[2]]
    assert str(found[1]).startswith(f"{path}:2: ")


def test_a_checksum_does_not_depend_on_the_order_of_keys():
    assert records.checksum({"a": 1, "b": {"c": 2, "d": 3}}) == records.checksum({"b": {"d": 3, "c": 2}, "a": 1})
    assert records.checksum({"a": 1}) != records.checksum({"a": 2})
    assert records.checksum({"a": 1, "checksum": "x"}) == records.checksum({"a": 1})


def test_git_state_outside_a_checkout_is_null(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert records.git_state(tmp_path) == {"revision": None, "clean": None}


def test_git_state_names_the_revision_and_tells_a_changed_tree(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-qm", "first")
    assert records.git_state(tmp_path) == {"revision": git("rev-parse", "HEAD"), "clean": True}
    (tmp_path / "file").write_text("two")
    assert records.git_state(tmp_path)["clean"] is False
