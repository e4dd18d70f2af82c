"""What the page of running sweeps says of a folder of runs, and whom it answers."""

import http.client
import json
import os
import threading
import time

import pytest
import yaml
from filelock import FileLock

from analysis.page import live
from study import experiments, records
from study.progress import duration
from tests.analysis import synthetic

TINY = experiments.load("tiny", records.RESULTS.parent / "tests" / "analysis" / "golden" / "declarations")


def begin(runs, record, history='{"step": 300, "validation_accuracy": 0.5}\n{"step": 6', **sweep):
    folder = runs / record["name"]
    folder.mkdir(parents=True)
    origin = {key: record["plan"][key] for key in ("experiment", "digest")}
    config = {"tier": "core", "origin": origin, "train": {"steps": 1200}, "sweep": sweep}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "history.jsonl").write_text(history)
    return folder


@pytest.fixture
def made():
    return synthetic.complete(TINY, "core")


def state(runs):
    folder = live.Folder(runs, {"tiny": TINY})
    folder.look()
    return folder.state()


def test_planned_running_done_failed_and_left_are_counted(made, tmp_path):
    for record in made[:6]:
        begin(tmp_path, record)
    for record in made[:3]:
        synthetic.write_run(tmp_path, record)
    failed = {**made[3], "status": "failed", "error": "x"}
    synthetic.write_run(tmp_path, failed)
    found = state(tmp_path)
    planned = 3 * 2 * (2 + 1 + 3)  # arms and tasks: two rates to tune and one beyond the best, then three seeds
    assert (found["planned"], found["done"], found["failed"]) == (planned, 3, 1)
    assert found["left"] == planned - 3 - 1 - 2 and [line["name"] for line in found["experiments"]] == ["tiny, core"]
    assert [run["name"] for run in found["running"]] == sorted(record["name"] for record in made[4:6])
    first = found["running"][0]
    assert (first["step"], first["steps"], first["said"]) == (300, 1200, "validation accuracy 0.5")


def test_time_left_is_that_of_the_runs_to_come_over_those_at_work(made, tmp_path):
    tuned = [record for record in made if record["plan"]["role"] == "tuning"]
    for record in tuned:
        begin(tmp_path, record)
        synthetic.write_run(tmp_path, record)
    missing = len(made) - len(tuned)
    assert state(tmp_path)["time_left"] == duration(20.0 * missing)  # made-up runs take 20 s each
    for record in made[-2:]:
        begin(tmp_path, record)
    assert state(tmp_path)["time_left"] == duration(20.0 * missing / 2)


def test_a_sweep_is_as_narrow_as_it_was_launched_last(made, tmp_path):
    narrow = {"arms": ["a"], "tasks": ["recall"], "seeds": [20, 21]}
    for record in made[:2]:
        begin(tmp_path, record, **narrow)
        synthetic.write_run(tmp_path, record)
    other = begin(tmp_path, made[-1], **narrow)  # another arm, on a declared seed
    tiny, others = state(tmp_path)["experiments"]
    assert (tiny["planned"], tiny["done"], tiny["left"]) == (2 + 1 + 2, 2, 3)
    assert (others["running"], others["left"]) == (1, 0) and "no sweep asks for" in others["name"]
    synthetic.write_run(tmp_path, made[-1])
    assert other.is_dir() and state(tmp_path)["experiments"][1]["done"] == 1


def test_committed_records_count_as_done_only_where_the_sweep_takes_them_so(made, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "committed", lambda tier, name: tmp_path / f"{tier}.{name}.jsonl")
    records.write_lines(tmp_path / "core.tiny.jsonl", made[:-1])
    for committed, done, first in ((False, 0, made[0]), (True, len(made) - 1, made[-1])):
        begin(tmp_path / str(committed), first, committed=committed)
        found = state(tmp_path / str(committed))
        assert (found["planned"], found["done"], len(found["running"])) == (len(made), done, 1)


def test_a_run_that_was_not_heard_of_for_long_does_not_run(made, tmp_path):
    folder = begin(tmp_path, made[0])
    for path in folder.iterdir():
        os.utime(path, (0, time.time() - live.QUIET - 60))
    assert state(tmp_path)["running"] == []


def test_single_runs_and_what_is_no_run_are_borne(made, tmp_path):
    single = {**made[0], "plan": made[0]["plan"] | dict.fromkeys(("experiment", "arm", "task", "digest"))}
    begin(tmp_path, single)
    synthetic.write_run(tmp_path, single)
    (tmp_path / "wandb").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "ill").mkdir()
    (tmp_path / "ill" / "config.yaml").write_text("a: [")
    (tmp_path / "ill" / records.NAME).write_text("{")
    [line] = state(tmp_path)["experiments"]
    assert line["name"].startswith("single runs, grids") and (line["done"], line["left"]) == (1, 0)


def test_looking_takes_no_lock(made, tmp_path):
    folder = begin(tmp_path, made[0])
    with FileLock(folder / "lock", timeout=0):
        assert len(state(tmp_path)["running"]) == 1
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    state(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.fixture
def served(made, tmp_path):
    begin(tmp_path, made[0])
    pages = []

    def make(loaded):
        pages.append(loaded)
        return f"page of {sum(map(len, loaded.by_tier.values()))}"

    server = live.server_of(live.Folder(tmp_path, {"tiny": TINY}), make)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, pages
    server.shutdown()
    server.server_close()


def asked(server, path, host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{server.server_port}"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_it_answers_this_machine_with_page_and_state(served, made, tmp_path):
    server, pages = served
    assert server.server_address[0] == "127.0.0.1"
    assert asked(server, "/") == asked(server, "/") == (200, "page of 0") and len(pages) == 1
    synthetic.write_run(tmp_path, made[0])
    status, text = asked(server, "/state.json")
    assert status == 200 and json.loads(text)["done"] == 1
    assert asked(server, "/") == (200, "page of 1") and len(pages) == 2
    assert asked(server, "/../config.yaml")[0] == 404
    assert asked(server, "/", host="elsewhere.example:80")[0] == 403


def test_a_port_that_is_taken_is_said(served, tmp_path):
    server, _ = served
    with pytest.raises(ValueError, match=f"--serve {server.server_port}: .*; give another port"):
        live.server_of(live.Folder(tmp_path, {}), str, server.server_port)
