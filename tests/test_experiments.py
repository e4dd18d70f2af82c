"""Declarations, the runs they amount to, and the rule that chooses a learning rate."""

import copy
import json
import subprocess
import sys

import pytest
import yaml

from study import declarations, experiments
from study.experiments import Experiment
from tests.cases import case

DECLARED = {
    "name": "toy",
    "title": "A title",
    "question": "A question?",
    "claims": ["C1"],
    "base": {"position": "sinusoidal", "model.width": 16},
    "arms": {
        "a": {"label": "arm a", "set": {"mixer": "attention", "mixer.heads": 2}, "tags": {"heads": 2}},
        "b": {"label": "arm b", "set": {"mixer": "lstm"}, "differs": "no heads"},
    },
    "tasks": {
        "x": {"label": "task x", "set": {"task": "recall", "train.steps": 400}},
        "y": {"label": "task y", "arms": ["b"], "set": {"task": "pydoc"}, "metric": "bits_per_character", "margin": 0.01},
    },
    "tiers": {
        "smoke": {
            "rates": [0.003],
            "tuning_seeds": [100],
            "verdict_seeds": [0],
            "set": {"train.batch": 2},
            "task_set": {"x": {"train.steps": 10}},
        },
        "core": {"rates": [0.001, 0.01], "tuning_seeds": [100, 101], "verdict_seeds": [0, 1, 2]},
    },
}


def toy(**changes):
    declared = copy.deepcopy(DECLARED)
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = declared
        for key in parents:
            node = node[key]
        node[last] = value
    return Experiment(declared, "toy.yaml")


def test_cells_are_the_pairs_that_meet():
    assert toy().cells("core") == [("a", "x"), ("b", "x"), ("b", "y")]
    assert toy(tiers__core__arms=["b"]).cells("core") == [("b", "x"), ("b", "y")]
    assert toy(tiers__core__tasks=["y"]).cells("core") == [("b", "y")]


def test_a_tier_inherits_the_rates_and_seeds_that_it_does_not_give():
    protocol = yaml.safe_load(declarations.PROTOCOL.read_text())
    inherited = toy(tiers__core={}).sizes("core")
    assert {key: list(getattr(inherited, key)) for key in protocol["core"]} == protocol["core"]
    own = toy(tiers__core={"rates": [0.1], "tuning_seeds": [70]}).sizes("core")
    assert (own.rates, own.tuning_seeds, own.verdict_seeds) == ((0.1,), (70,), inherited.verdict_seeds)
    assert toy(tiers__core={"verdict_seeds": [0, 1]}).sizes("core").further_seeds == (), "they follow the verdict seeds"


def test_tuning_and_verdict_runs_are_counted_out():
    experiment = toy()
    tuning = experiment.tuning_runs("core")
    assert [(r.arm, r.task, r.rate, r.seed) for r in tuning] == [
        (arm, task, rate, seed)
        for arm, task in [("a", "x"), ("b", "x"), ("b", "y")]
        for rate in (0.001, 0.01)
        for seed in (100, 101)
    ]
    verdict = experiment.verdict_runs("core", {("a", "x"): 0.01, ("b", "y"): 0.001})
    assert [(r.arm, r.task, r.rate, r.seed, r.role) for r in verdict] == [
        *[("a", "x", 0.01, seed, "verdict") for seed in (0, 1, 2)],
        *[("b", "y", 0.001, seed, "verdict") for seed in (0, 1, 2)],
    ]


def played(scores, **changes):
    """``record_of`` for runs that end at once: a validation accuracy by (arm, task, rate), no record where there is none."""

    def record_of(run):
        score = scores.get((run.arm, run.task, run.rate))
        metrics = {"validation": {"accuracy": score, "bits_per_character": score}}
        train = {"stop_when_solved": run.settings.get("train.stop_when_solved", True)}
        known = {"plan": {"rate": run.rate}, "config": {"train": train}, "status": "finished", "metrics": metrics}
        return score and {**known, "solved_at": 0.98, **changes}

    return record_of


def listed(runs):
    return [(run.arm, run.task, run.rate, run.seed, run.settings.get("train.until")) for run in runs]


def test_phases_tune_go_past_an_edge_choose_and_judge():
    """Two rates are both finalists. That of (a, x) lies beyond the grid, that of (b, x) on its edge; (b, y) has no record."""
    scores = {("a", "x", 0.001): 0.1, ("a", "x", 0.01): 0.5, ("a", "x", 0.1): 0.7, ("a", "x", 1.0): 0.2}
    scores |= {("b", "x", 0.001): 0.5, ("b", "x", 0.01): 0.4, ("b", "x", 0.0001): 0.3}
    phases = list(toy(tiers__core__further_seeds=[3]).phases("core", played(scores)))
    assert [phase.name for phase in phases] == ["tuning", "tuning past the edge", "tuning past the edge", "verdict"]
    tuning, once, twice, verdict = phases
    assert tuning.runs == toy().tuning_runs("core") and tuning.choices == {}
    assert listed(once.runs) == [(a, "x", rate, s, None) for a, rate in [("a", 0.1), ("b", 0.0001)] for s in (100, 101)]
    assert listed(twice.runs) == [("a", "x", 1.0, seed, None) for seed in (100, 101)]
    assert {cell: choice.rate for cell, choice in verdict.choices.items()} == {("a", "x"): 0.1, ("b", "x"): 0.001}
    assert listed(verdict.runs) == [(a, "x", rate, s, None) for a, rate in [("a", 0.1), ("b", 0.001)] for s in (0, 1, 2)]
    *_, verdict = toy(tiers__core__further_seeds=[3]).phases("core", played(scores), further=[("a", "x")])
    assert [(run.arm, run.seed) for run in verdict.runs] == [("a", s) for s in (0, 1, 2, 3)] + [("b", s) for s in (0, 1, 2)]


def test_the_grid_grows_twice_at_most():
    scores = {("a", "x", rate): rate**0.1 for rate in (0.001, 0.01, 0.1, 1.0)}
    *_, verdict = toy(tiers__core__arms=["a"], tiers__core__tasks=["x"]).phases("core", played(scores))
    assert (verdict.choices["a", "x"].rate, verdict.choices["a", "x"].further) == (1.0, 10.0)


GRID = {"tiers__core__rates": [0.001, 0.003, 0.01], "tiers__core__arms": ["a"], "tiers__core__tasks": ["x"]}


def test_of_three_rates_the_two_best_go_to_the_end():
    scores = {("a", "x", 0.001): 0.5, ("a", "x", 0.003): 0.7, ("a", "x", 0.01): 0.1}
    begun, ended, verdict = toy(**GRID).phases("core", played(scores))
    assert listed(begun.runs) == [("a", "x", rate, s, 0.333) for rate in (0.001, 0.003, 0.01) for s in (100, 101)]
    assert listed(ended.runs) == [("a", "x", rate, s, None) for rate in (0.001, 0.003) for s in (100, 101)]
    assert [run.begun for run in ended.runs] == begun.runs[:4]
    assert verdict.choices["a", "x"].curve == {0.001: 0.5, 0.003: 0.7, 0.01: 0.1}


def test_a_run_that_is_over_is_not_trained_again():
    """Solved, where that stops a run; and failed."""
    scores = {("a", "x", 0.001): 0.5, ("a", "x", 0.003): 0.99, ("a", "x", 0.01): 0.1}
    _, ended, verdict = toy(**GRID).phases("core", played(scores))
    assert {run.rate for run in ended.runs} == {0.001} and verdict.choices["a", "x"].rate == 0.003
    _, ended, _ = toy(**GRID, base={"train.stop_when_solved": False}).phases("core", played(scores))
    assert {run.rate for run in ended.runs} == {0.001, 0.003}
    _, ended, verdict = toy(**GRID).phases("core", played(scores, status="failed"))
    assert not ended.runs and not verdict.runs


def test_a_task_may_take_the_rates_of_another():
    scores = {("b", "x", 0.001): 0.5, ("b", "x", 0.01): 0.4, ("b", "x", 0.0001): 0.3}
    experiment = toy(tasks__y__rate_of="x", tasks__y__cap="as long as x")
    assert {run.task for run in experiment.tuning_runs("core")} == {"x"}
    *_, verdict = experiment.phases("core", played(scores))
    assert {(run.task, run.rate) for run in verdict.runs} == {("x", 0.001), ("y", 0.001)}
    narrow = experiment.narrowed(tasks=["y"])
    *_, verdict = narrow.phases("core", played(scores))
    assert narrow.tuned_cells("core") == [("b", "x")] and {run.task for run in verdict.runs} == {"y"}
    tuned_only = toy(tasks__y__rate_of="x", tasks__y__cap="as long as x", tiers__core__tasks=["y"])  # x has no verdict there
    assert tuned_only.cells("core") == [("b", "y")]
    *_, verdict = tuned_only.phases("core", played(scores))
    assert {(run.task, run.rate) for run in verdict.runs} == {("y", 0.001)}


def test_rates_that_are_close_on_the_task_of_their_choice_meet_again_where_they_are_used():
    finals = toy(tasks__y__rate_of="x", tasks__y__cap="as long as x", tasks__y__finals=True, tiers__core__arms=["b"])
    apart = {("b", "x", 0.001): 0.5, ("b", "x", 0.01): 0.4, ("b", "x", 0.0001): 0.3}
    assert {run.task for phase in finals.phases("core", played(apart)) if "tuning" in phase.name for run in phase.runs} == {"x"}
    close = {("b", "x", 0.001): 0.5, ("b", "x", 0.01): 0.5, ("b", "x", 0.0001): 0.3}
    *_, last, verdict = finals.phases("core", played(close))
    assert last.name == "tuning, finals" and last.choices.keys() == {("b", "x")}
    assert listed(last.runs) == [("b", "y", rate, seed, None) for rate in (0.001, 0.01) for seed in (100, 101)]
    assert {run.task for run in verdict.runs} == {"x"}  # y waits for the records of its finals
    *_, verdict = finals.phases("core", played(close | {("b", "y", 0.001): 1.3, ("b", "y", 0.01): 1.2}))  # bits
    assert {(run.task, run.rate) for run in verdict.runs} == {("x", 0.001), ("y", 0.01)}


def test_a_phase_is_planned_when_it_is_asked_for():
    scores = {}
    phases = toy().phases("core", played(scores))
    next(phases)
    scores |= {("a", "x", 0.001): 0.9}
    assert {run.rate for run in next(phases).runs} == {0.001}


def test_a_narrowed_experiment_plans_the_same_runs_and_a_changed_one_others():
    whole, narrow = toy().tuning_runs("core"), toy().narrowed(arms=["b"], tasks=["x"]).tuning_runs("core")
    assert narrow == [run for run in whole if run.cell == ("b", "x")] and narrow
    assert toy().narrowed().tuning_runs("core") == whole
    changed = toy().narrowed(changes={"train.steps": 5}).tuning_runs("core")
    assert all(run.settings == {**old.settings, "train.steps": 5} for run, old in zip(changed, whole, strict=True))
    assert not {run.digest for run in changed} & {run.digest for run in whole}


def test_later_settings_win_and_groups_come_before_their_keys():
    run = toy().tuning_runs("smoke")[0]
    assert run.settings == {
        "tier": "smoke",
        "position": "sinusoidal",
        "task": "recall",
        "mixer": "attention",
        "model.width": 16,
        "train.batch": 2,
        "train.steps": 10,
        "mixer.heads": 2,
        "train.rate": 0.003,
        "seed": 100,
    }
    assert toy().tuning_runs("core")[0].settings["train.steps"] == 400
    keys = [override.split("=")[0] for override in run.overrides]
    assert keys.index("mixer") < keys.index("mixer.heads")


def test_overrides_are_written_in_hydras_grammar():
    experiment = toy(base={"task.pairs": [1, 2], "mixer.head_width": None, "train.stop_when_solved": False, "train.clip": 0.5})
    overrides = experiment.tuning_runs("core")[0].overrides
    for written in ("task.pairs=[1,2]", "mixer.head_width=null", "train.stop_when_solved=false", "train.clip=0.5"):
        assert written in overrides


def test_a_digest_names_what_was_asked_for():
    run, other_seed = toy().tuning_runs("core")[:2]
    assert run.digest == toy().tuning_runs("core")[0].digest
    assert run.digest != other_seed.digest
    assert run.digest != toy(base={"position": "none", "model.width": 16}).tuning_runs("core")[0].digest
    reordered = toy(base={"model.width": 16, "position": "sinusoidal"}).tuning_runs("core")[0]
    assert run.digest == reordered.digest
    relabelled = toy(arms__a__label="another word").tuning_runs("core")[0]
    assert run.digest == relabelled.digest


REFUSED = [
    ({"colour": "red"}, "unknown 'colour'; known are arms, base, "),
    ({"arms__a__sets": {}}, "arms.a: unknown 'sets'"),
    ({"tasks__x__scale": 1}, "tasks.x: unknown 'scale'"),
    ({"tasks__x__arms": ["c"]}, "tasks.x.arms: unknown 'c'; known are a, b"),
    ({"tiers__core__seeds": [1]}, "tiers.core: unknown 'seeds'"),
    ({"tiers__huge": {}}, "tiers: unknown 'huge'; known are core, full, smoke"),
    ({"tiers__core__arms": ["c"]}, "tiers.core.arms: unknown 'c'"),
    ({"tiers__core__tasks": ["z"]}, "tiers.core.tasks: unknown 'z'"),
    ({"tiers__core__task_set": {"z": {}}}, "tiers.core.task_set: unknown 'z'"),
    ({"tiers__core__verdict_seeds": [0, 101]}, "seeds [101] serve tuning and verdict; keep them apart"),
    ({"tiers__core__further_seeds": [5, 100]}, "seeds [100] serve tuning and verdict; keep them apart"),
    ({"tiers__core__rates": [0.01, 0.001]}, "must grow and not repeat"),
    ({"tiers__core__rates": [0.01, 0.01]}, "must grow and not repeat"),
    ({"arms__a__set": {"train.steps": 3}}, "task 'x' and arm 'a' both set train.steps; leave it to one of them"),
    ({"tasks__x__measure": "speed"}, "must be training or cost"),
    ({"tasks__x__metric": "acuracy"}, "tasks.x.metric: unknown 'acuracy'; known are accuracy, "),
    ({"tasks__x__validated": "los"}, "tasks.x.metric: unknown 'los'; known are accuracy, "),
    ({"tasks__y__rate_of": "z"}, "tasks.y.rate_of: unknown 'z'; known are x, y"),
    ({"tasks__x__rate_of": "y"}, "tasks.x.rate_of=y: arm 'a' does not meet that task"),
    ({"tasks__y__finals": True}, "tasks.y.finals: goes with rate_of alone; leave it out"),
    ({"name": "../toy"}, "the name '../toy' must be of letters, digits and _ . - alone"),
    ({"arms__..": {}}, "the name '..' must be of letters"),
    ({"tasks__a/b": {}}, "the name 'a/b' must be of letters"),
]


def test_contradictory_declarations_are_refused_by_name():
    for changes, fix in REFUSED:
        with case(changes):
            with pytest.raises(ValueError) as caught:
                toy(**changes)
            assert str(caught.value).startswith("toy.yaml: ") and "\n" not in str(caught.value) and fix in str(caught.value)


def test_an_unknown_tier_and_an_unknown_experiment_say_what_there_is():
    with pytest.raises(ValueError, match="toy.yaml: no tier 'full'; it declares smoke, core"):
        toy().cells("full")
    with pytest.raises(ValueError, match="^no experiment 'haeds'; did you mean experiment=heads.* there are .*distance"):
        experiments.load("haeds")


def test_a_file_must_bear_its_experiments_name(tmp_path):
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(DECLARED))
    with pytest.raises(ValueError, match="other.yaml: its name must be 'other', as its file's"):
        experiments.load("other", tmp_path)
    (tmp_path / "other.yaml").write_text("")
    with pytest.raises(ValueError, match="other.yaml: its name must be 'other', as its file's"):
        experiments.load("other", tmp_path)
    (tmp_path / "other.yaml").write_text("name: other\nname: other\n")
    with pytest.raises(ValueError, match="^other.yaml is no YAML: the key 'name' is given twice .*line 2, column 1$"):
        experiments.load("other", tmp_path)
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(DECLARED))
    assert experiments.load("toy", tmp_path).tuning_runs("core") == toy().tuning_runs("core")


def test_costs_are_measured_without_tuning():
    experiment = toy(tasks__c={"measure": "cost", "set": {"task": "copy", "cost.lengths": [8]}, "arms": ["a"]})
    assert not [run for run in experiment.tuning_runs("core") if run.task == "c"]
    runs = [run for run in experiment.verdict_runs("core", {}) if run.task == "c"]
    assert [(run.arm, run.rate, run.seed) for run in runs] == [("a", None, 0), ("a", None, 1), ("a", None, 2)]
    assert all(run.settings["measure"] == "cost" and "train.rate" not in run.settings for run in runs)


def test_further_seeds_run_only_when_asked_for():
    experiment = toy(tiers__core__further_seeds=[3, 4])
    chosen = {("a", "x"): 0.01}
    assert [run.seed for run in experiment.verdict_runs("core", chosen)] == [0, 1, 2]
    assert [run.seed for run in experiment.verdict_runs("core", chosen, [("b", "x")])] == [0, 1, 2]
    assert [run.seed for run in experiment.verdict_runs("core", chosen, [("a", "x")])] == [0, 1, 2, 3, 4]


def test_declarations_are_read_without_torch_or_hydra():
    code = (
        "import sys, json; from study import experiments;"
        "[experiments.load(name).tuning_runs('core') for name in experiments.names()];"
        "print(json.dumps([m for m in ('torch', 'hydra', 'wandb', 'pytorch_lightning') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
