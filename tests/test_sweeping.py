"""What a sweep launches, skips and says; the runs themselves are played by records written by hand."""

import copy
import io
import os
import pickle
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from study import progress, records, schema
from study.experiments import Experiment
from study.sweeping import Sweep
from tests.cases import case
from tests.conftest import WORDS

pytestmark = pytest.mark.slow

TOY = {
    **WORDS,
    "name": "toy",
    "claims": ["C1"],
    "base": {"model.width": 16},
    "arms": {"a": {"set": {"mixer": "attention"}}, "b": {"set": {"mixer": "identity"}}},
    "tasks": {"x": {"set": {"task": "recall", "train.steps": 10}}},
    "tiers": {"smoke": {"rates": [0.001, 0.01], "tuning_seeds": [100, 101], "verdict_seeds": [0, 1, 2]}},
}
BLANK = {  # what every record holds
    "kind": "tokens",
    "error": None,
    "claims": [],
    "metrics": {},
    "slices": {},
    "notes": {},
    "curve": [],
    "provenance": {"data": {}},
}
TRAINED = {  # what that of a training holds beside
    "metric": "accuracy",
    "seconds": 1.0,
    "solved_at": 0.99,
    "chance": None,
    "heuristic": None,
    "steps": 10,
    "steps_to_90": None,
    "steps_to_solve": None,
    "parameters": {"other": 1},
    "peak_memory_bytes": 1,
    "tokens_seen": 10,
    "multiply_adds_per_token": 1.0,
}
BEST = {"a": 0.01, "b": 0.001}  # the rates at which the arms of this play do well


class Stage:
    """A launcher that trains nothing: ``play`` says what becomes of a run, given its arm, role, rate and seed."""

    def __init__(self, compose, folder, play=None):
        self.compose, self.folder = compose, folder
        self.play = play or (lambda arm, role, rate, seed: 0.9 if rate == BEST[arm] else 0.2)
        self.batches: list[list[tuple]] = []
        self.configs: dict[tuple, object] = {}
        self.overrides: list[list[str]] = []
        self.output = io.StringIO()

    def sweep(self, changes=None, **overrides):
        declared = copy.deepcopy(TOY)
        declared.update(changes or {})
        given = {key.replace("__", "."): value for key, value in {"runs": str(self.folder), **overrides}.items()}
        console = Console(file=self.output, width=200)
        return Sweep([Experiment(declared, "toy.yaml")], "smoke", given, self.compose_run, self.launch, console)

    def compose_run(self, overrides):
        return self.compose(*overrides)

    def launch(self, jobs):
        self.batches.append([])
        return [self.launch_one(overrides) for overrides in jobs]

    def launch_one(self, overrides):
        config = self.compose(*overrides)
        key = (config.origin.arm, config.origin.role, config.train.rate, config.seed)
        self.batches[-1].append(key)
        self.overrides.append(overrides)
        self.configs[key] = config
        result = self.play(*key)
        if isinstance(result, BaseException):
            return result
        if result == "elsewhere":
            return SimpleNamespace(state="elsewhere", record=None, error="another process trains it just now")
        if result == "no room":
            return SimpleNamespace(state="failed", record=None, error="No space left on device: nothing recorded")
        name, identity, settings = schema.name(config), schema.identity(config), OmegaConf.to_container(config, resolve=True)
        folder = Path(config.runs) / name
        folder.mkdir(parents=True, exist_ok=True)
        origin = {key: value for key, value in settings["origin"].items() if key != "claims"}
        plan = {**origin, "tier": config.tier, "rate": config.train.rate, "seed": config.seed}
        base = {**BLANK, "name": name, "id": identity, "plan": plan, "config": settings}
        if result in ("failed", "diverged"):
            body = {**base, "status": result, "error": f"{result} for a reason"}
        else:
            if config.train.until < 1:
                (folder / records.CHECKPOINT).touch()
            body = {**base, **TRAINED, "status": "finished", "metrics": {"validation": {"accuracy": result}}}
        return SimpleNamespace(state=body["status"], record=records.write(folder, body), error=body["error"])

    @property
    def launched(self):
        return [key for batch in self.batches for key in batch]

    @property
    def said(self):
        return self.output.getvalue()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LOOKS", 0.01)


@pytest.fixture(scope="module")
def composed_once(compose):
    """compose, but each config once for all tests: that is what takes long here."""
    cache = {}

    def composed(*overrides):
        key = tuple(o for o in overrides if not o.startswith("runs="))
        if key not in cache:
            cache[key] = pickle.dumps(compose(*key))
        config = pickle.loads(cache[key])
        config.runs = next(o for o in overrides if o.startswith("runs=")).removeprefix("runs=")
        return config

    return composed


@pytest.fixture
def stage(composed_once, tmp_path):
    return Stage(composed_once, tmp_path / "runs")


@pytest.fixture(scope="module")
def ended(composed_once, tmp_path_factory):
    """A stage on which all of the sweep was launched, and went well; nothing more is launched there."""
    stage = Stage(composed_once, tmp_path_factory.mktemp("ended") / "runs")
    assert stage.sweep().run() == 0
    return stage


@pytest.fixture
def again(ended, composed_once, tmp_path):
    """A stage that has launched nothing yet, with the records of all of the sweep."""
    shutil.copytree(ended.folder, tmp_path / "runs")
    return Stage(composed_once, tmp_path / "runs")


TUNING = [(arm, "tuning", rate, seed) for arm in "ab" for rate in (0.001, 0.01) for seed in (100, 101)]
EDGE = [(arm, "tuning", rate, seed) for arm, rate in (("a", 0.1), ("b", 0.0001)) for seed in (100, 101)]
VERDICT = [(arm, "verdict", BEST[arm], seed) for arm in "ab" for seed in (0, 1, 2)]


def test_tuning_comes_first_and_its_best_rate_is_the_verdicts(ended):
    assert ended.batches == [TUNING, EDGE, VERDICT]
    assert "done: 18 finished, 0 diverged, 0 failed, 0 without a record" in ended.said
    assert f"records: {ended.folder}; verdicts: python -m analysis --tier smoke --source {ended.folder}" in ended.said


def test_every_run_is_told_what_it_is(ended):
    planned = {(r.arm, r.role, r.rate, r.seed): r for r in Experiment(TOY, "toy.yaml").tuning_runs("smoke")}
    for key, run in planned.items():
        config = ended.configs[key]
        assert config.origin == {
            "experiment": "toy",
            "arm": run.arm,
            "task": "x",
            "role": "tuning",
            "claims": ["C1"],
            "digest": run.digest,
        }
        assert config.tier == "smoke" and config.model.width == 16 and config.train.steps == 10
    assert ended.configs[VERDICT[0]].origin.role == "verdict"


def test_launching_again_skips_what_has_a_record(again):
    assert again.sweep().run() == 0
    assert not again.launched
    assert re.search(r"18 runs planned \(12 to choose .*, 6 at those chosen\), 18 done\n", again.said)
    gone = next(again.folder.glob("toy-x-a-verdict-*-s1-*"))
    (gone / records.NAME).unlink()
    again.sweep().run()
    assert again.launched == [("a", "verdict", 0.01, 1)]


def test_committed_records_count_as_done_only_when_asked(again, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    done = [records.read(path) for path in again.folder.glob(f"*-s[01]*/{records.NAME}")]
    records.write_lines(records.committed("smoke", "toy"), done)
    elsewhere, left = str(tmp_path / "elsewhere"), [(arm, "verdict", BEST[arm], 2) for arm in "ab"]
    assert again.sweep(runs=elsewhere, sweep__committed="true").run() == 0
    assert again.launched == left
    assert again.sweep(runs=elsewhere).run() == 0
    assert sorted(again.launched) == sorted(TUNING + EDGE + VERDICT)


def test_an_invalid_record_counts_as_none(again):
    path = next(again.folder.glob("toy-x-b-verdict-*-s2-*")) / records.NAME
    other = next(again.folder.glob("toy-x-b-verdict-*-s1-*")) / records.NAME
    texts = {"edited": path.read_text().replace("0.9", "0.99"), "nested": "[" * 100_000, "another run's": other.read_text()}
    for ill in (*texts, "link to nothing"):
        with case(ill):
            path.unlink()
            path.write_text(texts[ill]) if ill in texts else path.symlink_to("nowhere")
            again.batches.clear()
            again.sweep().run()
            assert again.launched == [("b", "verdict", 0.001, 2)]


def test_a_best_rate_on_an_edge_is_followed(stage):
    rates = {"a": [0.01, 0.1], "b": [0.001, 0.0001]}  # the second is where the step leads; a likes it, b does not
    score = {("a", 0.01): 0.5, ("a", 0.1): 0.8, ("b", 0.001): 0.5, ("b", 0.0001): 0.1}
    stage.play = lambda arm, role, rate, seed: score.get((arm, rate), 0.2)
    stage.sweep().run()
    tuning, extension, again, verdict = stage.batches
    assert again == [("a", "tuning", 1.0, seed) for seed in (100, 101)]
    assert tuning == TUNING
    assert extension == [(arm, "tuning", rates[arm][1], seed) for arm in "ab" for seed in (100, 101)]
    assert verdict == [(arm, "verdict", {"a": 0.1, "b": 0.001}[arm], seed) for arm in "ab" for seed in (0, 1, 2)]
    stage.sweep().run()
    assert len(stage.batches) == 4  # and not one step more when launched again


def test_rates_are_dropped_after_a_third_and_the_others_go_on_from_there(stage):
    """Of three rates the two best; a run that has solved its task by then is over."""
    scores = {0.001: 0.5, 0.003: 0.8, 0.01: 0.2, ("a", 0.003, 101): 1.0}
    stage.play = lambda arm, role, rate, seed: scores.get((arm, rate, seed), scores[rate])
    stage.sweep({"tiers": {"smoke": {**TOY["tiers"]["smoke"], "rates": [0.001, 0.003, 0.01]}}}).run()
    assert not list(stage.folder.glob("*/last.ckpt"))
    begun, ended, verdict = stage.batches
    assert begun == [(arm, "tuning", rate, seed) for arm in "ab" for rate in (0.001, 0.003, 0.01) for seed in (100, 101)]
    best = [(arm, "tuning", rate, seed) for arm in "ab" for rate in (0.001, 0.003) for seed in (100, 101)]
    assert ended == [key for key in best if key != ("a", "tuning", 0.003, 101)]
    assert {rate for _, _, rate, _ in verdict} == {0.003}
    shares = [next((o for o in given if "until" in o), "") for given in stage.overrides]
    assert shares == ["train.until=0.333"] * len(begun) + [""] * (len(ended) + len(verdict))
    names = {path.name for path in stage.folder.iterdir()}
    for key, given in zip(ended, stage.overrides[len(begun) :], strict=False):
        name = next(o for o in given if o.startswith("trainer.goes_on_from=")).partition("=")[2]
        assert name in names and name.startswith(f"toy-x-{key[0]}-tuning-lr{key[2]}-s{key[3]}-")


def test_narrowed_to_arms(stage):
    stage.sweep(sweep__arms="[b]").run()
    assert {arm for arm, *_ in stage.launched} == {"b"}
    assert len(stage.launched) == 4 + 2 + 3
    stage.sweep().run()
    assert stage.launched[9:] == [key for key in TUNING + EDGE + VERDICT if key[0] == "a"]  # the same runs, not others


def test_narrowed_to_a_task_whose_rates_are_chosen_on_another(stage):
    tasks = {**TOY["tasks"], "y": {"rate_of": "x", "set": {"task": "recall", "train.steps": 20}}}
    stage.sweep({"tasks": tasks}, sweep__tasks="[y]").run()
    found = {(config.origin.task, config.origin.role) for config in stage.configs.values()}
    assert found == {("x", "tuning"), ("y", "verdict")}


@pytest.mark.parametrize(("key", "there"), [("arms", "a, b"), ("tasks", "x")])
def test_narrowing_to_what_is_not_there_is_refused(stage, key, there):
    with pytest.raises(ValueError, match=rf"sweep\.{key}: no c; there are {there}"):
        stage.sweep(**{f"sweep__{key}": "[c]"})


def test_seeds_and_further_seeds_are_refused_together(stage):
    with pytest.raises(ValueError, match=r"sweep\.seeds stands in their place; use one of them"):
        stage.sweep(sweep__seeds="[20]", sweep__further_seeds="true")


def test_a_task_without_its_data_is_named_with_the_way_round_it(stage):
    tasks = {**TOY["tasks"], "y": {"set": {"task": "shakespeare", "task.length": 8, "train.steps": 10}}}
    with pytest.raises(ValueError, match=r"toy, arm a, task y: .*; or leave y out by sweep\.tasks=\[\.\.\.\]$"):
        stage.sweep({"tasks": tasks}, data__root="nowhere", data__download="false").run()
    assert not stage.launched


def test_arms_and_tasks_that_never_meet_are_refused(stage):
    tasks = {**TOY["tasks"], "y": {"arms": ["b"], "set": {"task": "recall", "train.steps": 10}}}
    with pytest.raises(ValueError, match=r"none of sweep\.arms meets any of sweep\.tasks in the smoke tier"):
        stage.sweep({"tasks": tasks}, sweep__arms="[a]", sweep__tasks="[y]")


def test_further_seeds_are_run_when_asked_for(stage):
    tiers = {"smoke": {**TOY["tiers"]["smoke"], "further_seeds": [3]}}
    stage.sweep({"tiers": tiers}).run()
    first = len(stage.launched)
    stage.sweep({"tiers": tiers}, sweep__further_seeds="true").run()
    assert stage.launched[first:] == [("a", "verdict", 0.01, 3), ("b", "verdict", 0.001, 3)]


def digests(stage):
    return {config.origin.digest for config in stage.configs.values()}


def test_a_departure_makes_other_runs_which_no_plan_knows(again, ended):
    assert again.sweep(train__batch="5").run() == 0
    assert again.launched == ended.launched  # nothing was skipped
    assert all(config.train.batch == 5 for config in again.configs.values())
    assert not digests(ended) & digests(again)


def test_saying_where_and_how_reaches_every_run_and_is_no_departure(stage):
    stage.sweep(trainer__threads="2", tracking__mode="off", data__root="there", retry_failed="true").run()
    runs = len(stage.launched)
    assert all(c.trainer.threads == 2 and c.tracking.mode == "off" for c in stage.configs.values())
    stage.sweep().run()
    assert len(stage.launched) == runs


def test_a_run_that_kept_no_weights_is_launched_again_for_them(again, ended):
    again.sweep(trainer__keep_weights="true").run()
    assert again.launched == ended.launched


def test_wandbs_server_is_asked_once_before_anything_is_launched(stage, wandb_server, monkeypatch, capfd):
    monkeypatch.setenv("WANDB_MODE", "online")
    wandb_server.manner = "refuse"
    launch, modes = stage.launch, []
    stage.launch = lambda jobs: modes.append(os.environ["WANDB_MODE"]) or launch(jobs)
    assert stage.sweep(tracking__mode="online").run() == 0
    assert modes == ["offline"] * len(stage.batches) and wandb_server.requests == 1
    assert capfd.readouterr().err.count("W&B can't be used online") == 1


@pytest.mark.parametrize("key", ["seed", "train.rate", "mixer", "task", "train.steps"])
def test_an_override_of_what_the_experiment_varies_is_refused(stage, key):
    with pytest.raises(ValueError, match=rf"{key} belongs to what experiment toy varies; narrow the sweep with "):
        stage.sweep(**{key.replace(".", "__"): "1"})
    assert not stage.launched


def test_every_cell_is_validated_before_anything_is_launched(stage):
    arms = {**TOY["arms"], "c": {"set": {"mixer": "attention", "mixer.heads": 3}}}
    with pytest.raises(ValueError, match="toy, arm c, task x: heads=3 does not divide width=16"):
        stage.sweep({"arms": arms}).run()
    assert not stage.launched


def test_failures_do_not_stop_it_and_are_listed_at_the_end(stage):
    bad = {("a", "verdict", 0.01, 1): "failed", ("b", "verdict", 0.001, 0): "diverged"}
    stage.play = lambda *key: bad.get(key) or (0.9 if key[2] == BEST[key[0]] else 0.2)
    assert stage.sweep().run() == 1
    assert stage.launched == TUNING + EDGE + VERDICT
    assert "done: 16 finished, 1 diverged, 1 failed, 0 without a record" in stage.said
    assert re.search(r"  failed: toy-x-a-verdict-lr0.01-s1-\w+: failed for a reason\n", stage.said)
    assert re.search(r"  diverged: toy-x-b-verdict-lr0.001-s0-\w+: diverged for a reason\n", stage.said)
    assert "retry_failed=true trains these again" in stage.said


def test_a_run_that_diverged_is_a_result(stage):
    stage.play = lambda arm, role, rate, seed: "diverged" if (arm, rate) == ("a", 0.001) else 0.5
    assert stage.sweep().run() == 0
    assert [key for key in stage.launched if key[1] == "verdict" and key[0] == "a"] == VERDICT[:3]


def test_a_cell_without_any_rate_has_no_verdict_runs(stage):
    stage.play = lambda arm, role, rate, seed: "diverged" if arm == "a" else 0.5
    stage.sweep().run()
    assert {arm for arm, role, *_ in stage.launched if role == "verdict"} == {"b"}


def test_what_failed_is_launched_again_only_when_asked_and_then_once(stage):
    bad = ("a", "verdict", 0.01, 1)
    stage.play = lambda *key: "failed" if key == bad else (0.9 if key[2] == BEST[key[0]] else 0.2)
    stage.sweep().run()
    runs = len(stage.launched)
    assert stage.sweep().run() == 1
    assert len(stage.launched) == runs
    assert stage.sweep(retry_failed="true").run() == 1
    assert stage.launched[runs:] == [bad]
    stage.play = lambda *key: 0.9
    assert stage.sweep(retry_failed="true").run() == 0
    assert stage.launched[runs:] == [bad, bad]


def test_what_another_launch_holds_is_come_back_to_and_waited_for(stage):
    seen = set()

    def play(*key):
        if key in TUNING[:2] and key not in seen:
            seen.add(key)
            return "elsewhere"
        return 0.5

    stage.play = play
    assert stage.sweep().run() == 0
    assert stage.batches[:2] == [TUNING, TUNING[:2]]
    waits = [next(o for o in overrides if o.startswith("sweep.wait")) for overrides in stage.overrides]
    assert waits == ["sweep.wait=false"] * 8 + ["sweep.wait=true"] * 2 + ["sweep.wait=false"] * (4 + 4 + 6)


def test_what_could_not_be_recorded_is_said_with_the_reason(stage):
    bad = {VERDICT[0]: "no room", VERDICT[1]: "no room", VERDICT[4]: ValueError("a machine without a GPU")}
    stage.play = lambda *key: bad.get(key) or (0.9 if key[2] == BEST[key[0]] else 0.2)
    assert stage.sweep().run() == 1
    assert stage.launched == TUNING + EDGE + VERDICT
    assert "done: 15 finished, 0 diverged, 0 failed, 3 without a record" in stage.said
    assert "  2 not recorded: No space left on device: nothing recorded\n" in stage.said
    assert "  1 not recorded: ValueError: a machine without a GPU\n" in stage.said
    assert "launch again for the runs without a record" in stage.said
    bad.clear()
    assert stage.sweep().run() == 0


def test_no_rate_is_chosen_before_all_tuning_runs_have_a_record(stage):
    good = stage.play
    stage.play = lambda *key: "no room" if key == TUNING[3] else good(*key)
    assert stage.sweep().run() == 1
    assert stage.launched == TUNING + EDGE[2:] + VERDICT[3:]
    assert "done: 12 finished, 0 diverged, 0 failed, 1 without a record" in stage.said
    stage.play = good
    assert stage.sweep().run() == 0
    assert stage.launched[13:] == [TUNING[3], *EDGE[:2], *VERDICT[:3]]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (RuntimeError("a worker was lost\nand much more"), "broken off (RuntimeError: a worker was lost)"),
    ],
)
def test_an_interrupt_or_a_launcher_that_gives_up_ends_it_with_a_summary(stage, error, said):
    good = stage.play

    def play(*key):
        if key == VERDICT[1]:
            raise error
        return good(*key)

    stage.play = play
    assert stage.sweep().run() == 1
    left = "the same command goes on: 13 finished, 0 diverged, 0 failed, 5 without a record"
    assert f"{said}; {left}" in stage.said
    runs = len(stage.launched)
    stage.play = good
    assert stage.sweep().run() == 0
    assert stage.launched[runs:] == VERDICT[1:]


def test_it_says_at_once_how_many_runs_are_planned_and_how_far_it_is_over_all_phases(stage, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    good = stage.play
    stage.play = lambda *key: "failed" if key == VERDICT[0] else good(*key)
    stage.sweep().run()
    said = "toy, smoke: 18 runs planned (12 to choose learning rates, 6 at those chosen), 0 done"
    assert stage.said.splitlines()[:2] == [said, "more follow where the best learning rate lies at the edge of its grid"]
    lines = re.findall(r"\n([a-z ]+): (\d+) of (\d+) runs, (?:1 failed, )?about \d+ s to go", stage.said)
    assert lines[-1] == ("verdict", "18", "18") and "verdict: 18 of 18 runs, 1 failed, about 0 s to go" in stage.said
    assert {phase for phase, *_ in lines} == {"tuning", "tuning past the edge", "verdict"}


def test_lines_come_no_closer_than_ten_seconds(ended):
    assert progress.SECONDS_BETWEEN_LINES == 10 and " of 18 runs" not in ended.said
