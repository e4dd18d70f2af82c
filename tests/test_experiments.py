"""Declarations, the runs they amount to, and the rule that chooses a learning rate."""

import copy
import json
import subprocess
import sys

import pytest
import yaml

from study import experiments
from study.experiments import Experiment, choose_rate

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
    "extend_rates": True,
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
    extension = experiment.extension_runs("core", {("a", "x"): 0.1})
    assert [(r.rate, r.seed, r.role) for r in extension] == [(0.1, 100, "tuning"), (0.1, 101, "tuning")]


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
    ({"name": "../toy"}, "the name '../toy' must be of letters, digits and _ . - alone"),
    ({"arms__..": {}}, "the name '..' must be of letters"),
    ({"tasks__a/b": {}}, "the name 'a/b' must be of letters"),
]


@pytest.mark.parametrize(("changes", "mend"), REFUSED, ids=[mend[:40] for _, mend in REFUSED])
def test_contradictory_declarations_are_refused_by_name(changes, mend):
    with pytest.raises(ValueError) as caught:
        toy(**changes)
    message = str(caught.value)
    assert message.startswith("toy.yaml: ") and "\n" not in message
    assert mend in message


def test_an_unknown_tier_and_an_unknown_experiment_say_what_there_is():
    with pytest.raises(ValueError, match="toy.yaml: no tier 'full'; it declares smoke, core"):
        toy().cells("full")
    with pytest.raises(ValueError, match="^no experiment 'haeds'; did you mean .* -m experiment=heads.* there are .*distance"):
        experiments.load("haeds")


def test_a_file_must_bear_its_experiments_name(tmp_path):
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(DECLARED))
    with pytest.raises(ValueError, match="other.yaml: its name must be 'other', as its file's"):
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
    assert [run.seed for run in experiment.verdict_runs("core", chosen, further=True)] == [0, 1, 2, 3, 4]


# --- the learning rate -----------------------------------------------------------------------------------------------


def run(rate, score=None, solved=None, metric="accuracy"):
    """A tuning record: its validation score, and the step at which it solved the task; no score: diverged."""
    if score is None:
        return {"plan": {"rate": rate}, "status": "diverged", "metrics": {}}
    return {
        "plan": {"rate": rate},
        "status": "finished",
        "metrics": {"validation": {metric: score}},
        "steps_to_solve": solved,
    }


CHOICES = {
    "more seeds solved beats a better mean": (
        [run(0.001, 0.99, 500), run(0.001, 0.99, 600), run(0.01, 1.0, 100), run(0.01, 0.985)],
        0.001,
    ),
    "of equally many solved the faster mean wins": (
        [run(0.001, 1.0, 300), run(0.001, 1.0, 300), run(0.01, 0.99, 100), run(0.01, 0.99, 400)],  # means 300, 250
        0.01,
    ),
    "the mean of steps is over the solved ones only": (
        [run(0.001, 1.0, 300), run(0.001, 0.5), run(0.01, 0.99, 290), run(0.01, 0.6)],
        0.01,
    ),
    "none solved: the better mean wins": (
        [run(0.001, 0.30), run(0.001, 0.40), run(0.01, 0.10), run(0.01, 0.59)],  # means 0.350, 0.345
        0.001,
    ),
    "a loss ranks after every rate without one": (
        [run(0.001, 0.2), run(0.001, 0.2), run(0.01, 1.0, 10), run(0.01)],
        0.001,
    ),
    "fewer losses rank first": ([run(0.001), run(0.001), run(0.001, 0.9), run(0.01), run(0.01, 0.1)], 0.01),
    "a rate of which nothing survived is none": ([run(0.001), run(0.01, 0.1)], 0.01),
    "a full tie goes to the smaller rate": ([run(0.01, 0.5), run(0.001, 0.5)], 0.001),
}


@pytest.mark.parametrize("runs, rate", CHOICES.values(), ids=CHOICES)
def test_rate_solved_first_then_fastest_then_best(runs, rate):
    assert choose_rate(runs, "accuracy").rate == rate
    assert choose_rate(reversed(runs), "accuracy").rate == rate  # the order of records does not matter


def test_fewer_bits_are_better():
    runs = [run(0.001, 2.4, metric="bits_per_character"), run(0.01, 2.1, metric="bits_per_character")]
    assert choose_rate(runs, "bits_per_character").rate == 0.01


def test_the_curve_is_the_mean_of_what_survived():
    runs = [run(0.01, 0.4), run(0.01), run(0.001, 0.2), run(0.001, 0.3), run(0.1)]
    assert choose_rate(runs, "accuracy").curve == {0.001: 0.25, 0.01: 0.4}


def test_none_survived():
    assert choose_rate([run(0.001), run(0.01)], "accuracy") is None
    assert choose_rate([], "accuracy") is None


@pytest.mark.parametrize(
    ("scores", "further"),
    [((0.9, 0.5, 0.4), 0.000333), ((0.4, 0.9, 0.5), None), ((0.4, 0.5, 0.9), 0.03)],
    ids=["lower edge", "inside", "upper edge"],
)
def test_a_best_rate_on_an_edge_asks_for_one_step_further(scores, further):
    runs = [run(rate, score) for rate, score in zip((0.001, 0.003, 0.01), scores, strict=True)]
    assert choose_rate(runs, "accuracy", extend=True).further == further
    assert choose_rate(runs, "accuracy").further is None


def test_one_rate_has_no_edge_to_go_beyond():
    assert choose_rate([run(0.003, 0.9)], "accuracy", extend=True).further is None


def test_a_finished_run_without_the_score_counts_as_a_loss():
    nameless, nothing = run(0.01, 1.0, 5, metric="loss"), run(0.01, 1.0, 5)
    nothing["metrics"]["validation"]["accuracy"] = None
    for lost in (nameless, nothing, nothing | {"metrics": {}}):
        found = choose_rate([lost, run(0.01, 1.0, 5), run(0.001, 0.1)], "accuracy")
        assert (found.rate, found.curve[0.01]) == (0.001, 1.0)
        assert choose_rate([lost], "accuracy") is None


def test_a_failed_run_counts_as_a_loss_like_a_diverged_one():
    failed = {**run(0.01), "status": "failed"}
    assert choose_rate([failed, run(0.01, 1.0, 5), run(0.001, 0.1)], "accuracy").rate == 0.001


def test_declarations_are_read_without_torch_or_hydra():
    code = (
        "import sys, json; from study import experiments;"
        "[experiments.load(name).tuning_runs('core') for name in experiments.names()];"
        "print(json.dumps([m for m in ('torch', 'hydra', 'wandb', 'pytorch_lightning') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
