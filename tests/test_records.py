"""A record is whole and unedited, or it is named and refused."""

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
from tests.cases import case

RUN = {  # a measurement of cost: the least that a finished run holds
    "name": "toy-lr0.01-s0-abc",
    "id": "abc",
    "status": "finished",
    "error": None,
    "claims": [],
    "kind": "tokens",
    "notes": {},
    "slices": {},
    "plan": {
        "experiment": "toy",
        "tier": "core",
        "arm": "a",
        "task": "x",
        "role": "verdict",
        "rate": None,
        "seed": 0,
        "digest": "abc",
    },
    "config": {"measure": "cost", "task": {}, "model": {"width": 8, "layers": 1}, "train": {"batch": 2, "steps": 1}},
    "metric": "accuracy",
    "metrics": {"test": {"accuracy": 0.1 + 0.2}},
    "curve": [],
    "seconds": 1.5,
    "provenance": {"data": {}},
}


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
    written = records.write(folder, made(more={1: (2, 3)}, error="no file '\udcff'"))
    assert written["more"] == {"1": [2, 3]}
    assert written["error"] == "no file '?'"  # what no encoding can write, as of a file name that is no text
    assert records.read(folder / records.NAME) == written


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
        "import json, os, signal, sys; from pathlib import Path; from study import records;"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL);"
        "records.write(Path(sys.argv[1]), json.loads(sys.argv[2]) | {'long': 'x' * 10**6})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder), json.dumps(made())], check=False)
    assert done.returncode == -signal.SIGKILL
    assert records.read(folder / records.NAME) == old
    assert list(records.load_runs(folder.parent)) == [old]  # what the killed process left is no record


def sealed(**fields):
    """The text of a record under a checksum that fits."""
    record = {"schema": 1, **made(**fields)}
    return json.dumps({**record, "checksum": records.checksum(record)}, sort_keys=True, separators=(",", ":"))


def put(text, path, value):
    """The text of a record with ``value`` at a path of keys (or without it, where that is ...), sealed anew."""
    node = record = json.loads(text)
    *way, last = path.split(".")
    for key in way:
        node = node[int(key) if isinstance(node, list) else key]
    if value is ...:
        del node[last]
    else:
        node[int(last) if isinstance(node, list) else last] = value
    return json.dumps({**record, "checksum": records.checksum(record)})


TEXT = sealed()
NUMBER = "0.30000000000000004"
BROKEN = {
    "empty": (b"", "not a whole JSON record"),
    "half": (TEXT[: len(TEXT) // 2], "not a whole JSON record"),
    "zeros": ("\0" * 50, "not a whole JSON record"),
    "UTF-16": (TEXT.encode("utf-16"), "not a whole JSON record"),
    "Latin-1": (TEXT.replace("toy", "tóy").encode("latin-1"), "not a record that can be sealed"),
    "a mark of byte order": (TEXT.encode("utf-8-sig"), "not a whole JSON record"),
    "nested too deeply": ("[" * 100_000, "not a whole JSON record"),
    "nested too deeply to be used": (put(TEXT, "more", json.loads("[" * 30 + "]" * 30)), "more: nested too deeply, and is ["),
    "a number of 5,000 digits": (TEXT.replace("1.5", "9" * 5000), "not a whole JSON record"),
    "a huge whole number": (sealed(seconds=10**200), "seconds: Input should be less than or equal to 1000"),
    "a huge seed": (
        put(TEXT, "plan.seed", 10**20),
        "plan.seed: Input should be less than or equal to 9007199254740992, and is 1000",
    ),
    "half a character": (TEXT.replace("toy", "t\\ud800y"), "not a record that can be sealed"),
    "a key twice": (TEXT.replace('"error":null', '"error":null,"error":null'), "the key 'error' is there twice"),
    "no object": ("[1, 2]", "not a record of schema 1"),
    "other schema": (TEXT.replace('"schema":1', '"schema":2'), "not a record of schema 1"),
    "a schema that only equals": (sealed(schema=True), "schema: Input should be a valid integer, and is True"),
    "unknown status": (TEXT.replace("finished", "great"), "not a record of schema 1"),
    "a status that is a list": (sealed(status=["finished"]), "not a record of schema 1"),
    "no checksum": (json.dumps({"schema": 1, **RUN}), "its checksum does not fit, so it was edited"),
    "a better score": (TEXT.replace(NUMBER, "0.99"), "its checksum does not fit, so it was edited"),
    "NaN": (TEXT.replace(NUMBER, "NaN"), "NaN is no number"),
    "infinity": (TEXT.replace(NUMBER, "-Infinity"), "-Infinity is no number"),
    "a huge number": (TEXT.replace(NUMBER, "1e999"), "1e999 is no number"),
    "a score that is text": (
        sealed(metrics={"test": {"accuracy": "0.9"}}),
        "metrics.test.accuracy: Input should be a valid number, and is '0.9'",
    ),
    "more than all right": (
        sealed(metrics={"test": {"accuracy": 1.5}}),
        "metrics.test.accuracy: Input should be less than or equal to 1",
    ),
    "a plan that is a list": (sealed(plan=["toy"]), "plan: Input should be a valid dictionary, and is ['toy']"),
    "no seed": (put(TEXT, "plan.seed", ...), "plan.seed: Field required"),
    "no curve": (put(TEXT, "curve", ...), "curve: Field required"),
    "a truth for a number": (put(TEXT, "plan.seed", True), "plan.seed: Input should be a valid integer, and is True"),
    "a step that is none": (
        sealed(curve=[{"step": 1}, {"step": None}]),
        "curve.1.step: Input should be a valid integer, and is None",
    ),
    "a length that is no number": (sealed(slices={"test": {"length": {"long": {}}}}), "slices.test.length.long"),
    "a map of uneven rows": (
        sealed(structure={"example": {"map": [[1], []], "edges": []}}),
        "structure.example.map.1: List should have at least 1 item",
    ),
    "a training without steps": (put(TEXT, "config.measure", "training"), "solved_at: Field required where status is finished"),
    "an unknown tier": (put(TEXT, "plan.tier", "huge"), "plan.tier: Input should be 'smoke', 'core' or 'full', and is 'huge'"),
    **{
        f"{field}: {text}": (put(TEXT, field, text), f"{field}: String should match pattern")
        for field in ("plan.experiment", "plan.arm", "plan.task", "plan.role", "plan.digest", "name", "id")
        for text in ("../../out", "/tmp/out", "..", "a b", "<script>alert(1)</script>", "a\nb", "")
    },
    **{
        f"tier: {text}": (put(TEXT, "plan.tier", text), "plan.tier: Input should be 'smoke', 'core' or 'full'")
        for text in ("../..", "/tmp", "core/..")
    },
}


def test_an_invalid_record_is_named_with_the_fix(folder):
    path = folder / records.NAME
    for kind, (text, why) in BROKEN.items():
        with case(kind):
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            with pytest.raises(RecordError) as caught:
                records.read(path)
            message = str(caught.value)
            assert message.startswith(f"{path}: ") and "\n" not in message and len(message) < 600
            assert why in message and "launch the run again" in message


def test_how_a_record_is_laid_out_does_not_matter(folder):
    """Nor what else it holds: a key that nobody reads may come from another version."""
    path = folder / records.NAME
    path.write_text(json.dumps(json.loads(sealed(other={"a": [None, "x"]})), indent=1))
    assert records.read(path)["other"] == {"a": [None, "x"]}


def in_its_place(path, what):
    path.unlink(missing_ok=True)
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if what == "link to itself" else path.with_name("nowhere"))


@pytest.mark.parametrize("what", ["folder", "pipe", "dangling link", "link to itself"])
def test_what_is_no_file_is_named_like_any_ill_record(tmp_path, what):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = records.write(tmp_path / "a", made("a"))
    in_its_place(tmp_path / "b" / records.NAME, what)
    kept, ill = records.load_runs(tmp_path)
    assert kept == whole and isinstance(ill, RecordError) and str(ill).startswith(str(tmp_path / "b" / records.NAME))
    in_its_place(tmp_path / "all.jsonl", what)
    [lines] = records.load_lines(tmp_path / "all.jsonl")
    assert isinstance(lines, RecordError) and str(lines).startswith(str(tmp_path / "all.jsonl"))


def test_what_is_put_aside_is_kept_whatever_it_is(folder):
    path = folder / records.NAME
    for what in ("folder", "dangling link", "pipe"):
        in_its_place(path, what)
        (path / "kept.txt").write_text("x") if what == "folder" else None
        records.put_aside(path)
        assert not os.path.lexists(path)
    first, second, third = (folder / f"record.json.unreadable{ending}" for ending in ("", "-2", "-3"))
    assert (first / "kept.txt").read_text() == "x" and second.is_symlink() and third.is_fifo()
    records.write(folder, made())
    assert records.read(path)["name"] == "toy"


def test_a_file_that_may_not_be_read_is_named(folder, monkeypatch):
    records.write(folder, made())

    def refused(_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(type(folder), "read_bytes", refused)  # as root may read any
    [found] = records.load_runs(folder.parent)
    assert isinstance(found, RecordError) and "can't be read (Permission denied)" in str(found)


def test_a_disk_that_fails_makes_no_ill_record(folder, monkeypatch):
    """A run that reads its own record gets the error as it is, so that a good record is not put aside for it."""
    records.write(folder, made())

    def broken(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(type(folder), "read_bytes", broken)
    with pytest.raises(OSError, match="Input/output error"):
        records.read(folder / records.NAME)
    [found] = records.load_runs(folder.parent)
    assert isinstance(found, RecordError) and "can't be read (Input/output error)" in str(found)


def test_a_record_that_is_not_there_is_no_ill_one(folder):
    with pytest.raises(FileNotFoundError):
        records.read(folder / records.NAME)
    (folder.parent / "notes.txt").write_text("a file beside the runs")
    assert list(records.load_runs(folder.parent)) == []


def test_a_record_of_another_run_is_no_record_of_this_one(folder):
    whole = records.write(folder, made("one"))
    assert records.read(folder / records.NAME, "one") == whole
    with pytest.raises(RecordError, match="the record of another run, one"):
        records.read(folder / records.NAME, "two")


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
    assert records.write(folder, made(found=cleaned))["found"]["b"] == {"c": None}


def test_an_invalid_record_is_not_written(folder):
    """An answer of no tokens has no row of weights, and is valid."""
    old = records.write(folder, made())
    with pytest.raises(RecordError, match="metrics.test: Input should be a valid dictionary, and is 3"):
        records.write(folder, made(metrics={"test": 3}))
    assert records.read(folder / records.NAME) == old
    nothing = {"source": ["a"], "output": [], "weights": []}
    records.write(folder, made(written={"test": {"samples": [nothing]}}))
    assert records.read(folder / records.NAME)["written"]["test"]["samples"] == [nothing]


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
