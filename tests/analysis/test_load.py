"""Records from their three places; invalid ones are named and set aside."""

import json
import os

import pytest

from analysis import load
from analysis.__main__ import main
from study import records
from study.experiments import Experiment
from tests.analysis import synthetic
from tests.conftest import WORDS
from tests.wandb_server import KEY

pytestmark = pytest.mark.slow

TINY = Experiment(
    {
        **WORDS,
        "arms": {"a": {"set": {"mixer": "attention"}}},
        "tasks": {"recall": {"set": {"task": "recall"}}},
        "tiers": {"core": {"rates": [0.001], "tuning_seeds": [9], "verdict_seeds": [0, 1]}},
    }
)
MADE = synthetic.complete(TINY, "core")


def commit(folder, lines, tier="core", name="tiny"):
    path = folder / tier / "records" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_committed_records_come_back_whole(tmp_path):
    records.write_lines(tmp_path / "core" / "records" / "tiny.jsonl", MADE)
    loaded = load.committed(tmp_path)
    assert loaded.by_tier == {"core": sorted(MADE, key=lambda record: record["name"])} and loaded.set_aside == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line[: len(line) // 2],
        lambda line: line.replace('"accuracy":', '"accuracy":1e-3,"old":', 1),
    ],
)
def test_a_spoilt_record_is_named_and_never_counted(spoil, tmp_path):
    lines = [json.dumps(record, sort_keys=True, separators=(",", ":")) for record in MADE]
    spoilt = spoil(lines[1])
    assert spoilt != lines[1]
    path = commit(tmp_path, [lines[0], spoilt, lines[2]])
    loaded = load.committed(tmp_path)
    assert [r["name"] for r in loaded.by_tier["core"]] == sorted(r["name"] for r in (MADE[0], MADE[2]))
    assert len(loaded.set_aside) == 1 and f"{path}:2" in loaded.set_aside[0]


def test_a_record_in_the_wrong_file_is_set_aside(tmp_path):
    records.write_lines(tmp_path / "full" / "records" / "tiny.jsonl", MADE[:1])
    loaded = load.committed(tmp_path)
    [line] = loaded.set_aside
    assert loaded.by_tier == {} and "tiny.jsonl:1: " in line and "is a record of tiny, core" in line


def altered(record, **changes):
    record = {**record, **changes}
    record["checksum"] = records.checksum(record)
    return record


def test_a_finished_record_stands_before_a_failed_one(tmp_path):
    failed = altered(MADE[0], status="failed", name="again", error="OutOfMemoryError")
    for order in ([MADE[0], failed], [failed, MADE[0]]):
        loaded = load.Loaded().add(order).finish()
        assert [r["status"] for r in loaded.by_tier["core"]] == ["finished"]
        assert loaded.replaced == ["again (failed): replaced by another record of the run"] and loaded.set_aside == []


def test_the_same_record_twice_is_one(tmp_path):
    loaded = load.Loaded().add([MADE[0], dict(MADE[0])]).finish()
    assert len(loaded.by_tier["core"]) == 1 and loaded.set_aside == []


def test_single_runs_belong_to_no_experiment():
    single = altered(MADE[0], plan={**MADE[0]["plan"], "experiment": None})
    loaded = load.Loaded().add([single]).finish()
    assert loaded.by_tier == {} and len(loaded.singles) == 1


def test_collect_keeps_a_finished_record_and_says_what_it_set_aside(tmp_path):
    records.write_lines(tmp_path / "results" / "core" / "records" / "tiny.jsonl", MADE)
    (tmp_path / "runs" / "x").mkdir(parents=True)
    failed = altered(MADE[0], status="failed")
    records.write(tmp_path / "runs" / "x", failed)
    (tmp_path / "runs" / "y").mkdir()
    (tmp_path / "runs" / "y" / "record.json").write_text("{")
    said, set_aside = load.collect(str(tmp_path / "runs"), tmp_path / "results")
    assert load.committed(tmp_path / "results").by_tier["core"] == sorted(MADE, key=lambda r: r["name"])
    assert said == ["core/tiny: 1 new records", f"{failed['name']} (failed): replaced by another record of the run"]
    assert len(set_aside) == 1 and "y/record.json" in set_aside[0]


@pytest.mark.parametrize("damage", [lambda line: line[:-30] + b"\n", lambda line: line.replace(b'"seed":', b'"sead":', 1)])
def test_collect_refuses_to_lose_what_it_cannot_read(tmp_path, damage):
    path = tmp_path / "results" / "core" / "records" / "tiny.jsonl"
    records.write_lines(path, MADE)
    first, *others = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(damage(first) + b"".join(others))
    before = path.read_bytes()
    (tmp_path / "runs" / "x").mkdir(parents=True)
    records.write(tmp_path / "runs" / "x", MADE[0])
    with pytest.raises(ValueError, match="tiny.jsonl.*fix or remove it first"):
        load.collect(str(tmp_path / "runs"), tmp_path / "results")
    assert path.read_bytes() == before


def test_a_wandb_project_gives_the_records_back(no_session, wandb_server, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")  # says how to log
    wandb_server.keep(*MADE)
    assert list(load.from_wandb("team/study")) == MADE
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"  # else W&B's service, without a network, does not end


def test_a_wandb_run_without_a_whole_record_is_set_aside(no_session, wandb_server):
    wandb_server.keep(MADE[0], {**MADE[1], "status": "splendid"})
    wandb_server.runs.append("crashed")
    found, *refused = load.from_wandb("team/study")
    assert found == MADE[0] and all(isinstance(error, records.RecordError) for error in refused)
    edited, crashed = map(str, refused)
    assert edited.startswith(f"wandb:team/study/{MADE[1]['name']}/record.json: not a record of schema")
    assert crashed == "wandb:team/study/crashed: no record among its artifacts (state: finished)"


@pytest.mark.parametrize(
    ("project", "key", "manner", "said"),
    [
        ("study", KEY, "answer", "give entity and project, wandb:entity/project"),
        ("team/study/run", KEY, "answer", "give entity and project, wandb:entity/project"),
        ("team/study", "", "answer", "needs a W&B key; run wandb login, or set WANDB_API_KEY"),
        ("team/study", "short", "answer", "run wandb login, or set WANDB_API_KEY"),
        ("team/study", KEY, "refuse", "invalid key; run wandb login, or set WANDB_API_KEY"),
        ("team/study", KEY, "hang", "no answer within 1 s; see to the network, or give a folder of runs"),
        ("team/study", KEY, "no server", "no answer within 1 s; see to the network, or give a folder of runs"),
        ("team/study", KEY, "no project", "is there such a project, and may the key read it?"),
        ("team/study", KEY, "RunOutputArtifacts", "no answer within 1 s; see to the network, or give a folder of runs"),
        ("team/study", KEY, "ArtifactMembershipFiles", "no answer within 1 s; see to the network, or give a folder of runs"),
    ],
)
def test_a_project_that_cant_be_read_is_one_plain_sentence(
    no_session, wandb_server, monkeypatch, capsys, project, key, manner, said
):
    if said.startswith("no answer"):  # an answer may take longer on a busy machine
        monkeypatch.setattr(load, "PATIENCE", 1)
    monkeypatch.setenv("WANDB_API_KEY", key)
    wandb_server.keep(*MADE)
    if manner == "no server":
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    elif manner == "no project":
        wandb_server.runs = None
    elif manner in ("refuse", "hang"):
        wandb_server.manner = manner
    else:
        wandb_server.hangs_after = manner
    assert main(["verdicts", "--source", f"wandb:{project}"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"analysis: --source wandb:{project}: ") and err.endswith(f"{said}\n")
    assert len(err.splitlines()) == 1


def test_a_missing_folder_says_what_would_do():
    with pytest.raises(ValueError, match="give a folder of runs, committed, or wandb:entity/project"):
        load.load("no/such/folder")
