"""Records from their three places; whatever can't be believed is set aside by name."""

import json

import pytest

from analysis import load, synthetic
from study import records
from study.experiments import Experiment

TINY = Experiment(
    {
        "name": "tiny",
        "title": "t",
        "question": "q",
        "claims": [],
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
        lambda line: line.replace('"seconds":20.0', '"seconds":NaN'),
        lambda line: "[]",
        lambda line: line.replace('"schema":1', '"schema":99'),
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
    assert loaded.by_tier == {} and loaded.singles == 1


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
    with pytest.raises(ValueError, match="tiny.jsonl.*mend or remove it first"):
        load.collect(str(tmp_path / "runs"), tmp_path / "results")
    assert path.read_bytes() == before


class FakeRun:
    """What wandb.Api gives: nested summary with the last logged row in it, config, history rows."""

    state = "finished"

    def __init__(self, record):
        self.name = record["name"]
        fields = {key: value for key, value in record.items() if key not in ("config", "curve")}
        self.summary = {**fields, "_step": 1200, "_runtime": 3.5, "train_loss": 0.1, "validation_accuracy": 0.9}
        self.config = {**record["config"], "_wandb": {}}
        self.rows = [{"_step": row["step"], **{k: v for k, v in row.items() if k != "step"}} for row in record["curve"]]

    def scan_history(self):
        return iter([*self.rows, {"_step": 1200, "attention/layer_1": {"_type": "image-file"}}])


class FakeApi:
    def __init__(self, runs):
        self.found = runs

    def runs(self, project):
        assert project == "someone/study"
        return self.found


def test_a_wandb_project_gives_the_records_back():
    api = FakeApi([FakeRun(record) for record in MADE])
    assert list(load.from_wandb("someone/study", api)) == MADE


def test_a_wandb_run_without_a_record_is_set_aside():
    crashed = FakeRun(MADE[0])
    crashed.summary, crashed.state = {"train_loss": "NaN"}, "crashed"
    [found] = load.from_wandb("someone/study", FakeApi([crashed]))
    assert isinstance(found, records.RecordError) and "crashed" in str(found)


def test_what_wandb_calls_nan_is_no_number():
    run = FakeRun(MADE[0])
    run.summary["metrics"] = {"test": {"accuracy": "NaN", "items": 1}}
    run.rows[0]["validation_accuracy"] = float("nan")
    [found] = load.from_wandb("someone/study", FakeApi([run]))
    assert found["metrics"]["test"]["accuracy"] is None and found["curve"][0]["validation_accuracy"] is None


def test_a_missing_folder_says_what_would_do():
    with pytest.raises(ValueError, match="give a folder of runs, committed, or wandb:entity/project"):
        load.load("no/such/folder")
