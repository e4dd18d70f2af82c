"""Every yaml in conf/, found by itself: composed, validated, trained for two steps. Every run that an experiment plans."""

import math

import pytest
import torch
from omegaconf import OmegaConf

from study import experiments, parts, schema
from study.cost.counting import multiply_adds
from study.declarations import TIERS
from study.kinds.base import kind_of
from study.tasks.corpus import Corpus
from study.training.build import build_model, build_task, validate
from study.training.runner import execute
from tests.cases import names
from tests.conftest import CONF

pytestmark = pytest.mark.slow

NAMES = {group.name: names(group.name) for group in CONF.iterdir() if group.is_dir()}
KINDS, ANSWERS = ({name: parts.outline(group, name).kind for name in NAMES[group]} for group in ("task", "architecture"))
# What an architecture needs beside itself.
BESIDE = {"conv_s2s": ["position=learned", "position.past=clip"]}
# Whom nothing is matched to: matching builds a dozen models, and tests of its own say that it matches.
UNMATCHED = {"tokens": ["model.match=nothing"], "pairs": ["model.match=nothing"], "images": []}
# Longest name of an artifact that W&B makes of a run's id: "run-", the id, ":v0" and room for a table's own name.
LONGEST_NAME = 100


def finite(value) -> bool:
    if isinstance(value, dict):
        return all(finite(item) for item in value.values())
    return value is not None and math.isfinite(value)


def train(config) -> dict:
    """Train it; skip by name where a file or a device is missing."""
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here: composed, not trained")
    try:
        validate(config)
    except FileNotFoundError as error:
        pytest.skip(f"{error} (STUDY_DATA_ROOT names the folder of real data)")
    outcome = execute(config)
    assert outcome.state == "finished", outcome.error
    record = outcome.record
    assert record["steps"] == 2
    assert finite(record["metrics"]) and finite(record["slices"]) and finite(record["diagnostics"])
    assert {"validation", "test"} <= record["metrics"].keys()
    assert record["slices"]["test"], "a task says nothing of what its score hangs on"
    return record


def test_every_group_is_tested_here():
    parts = {"task", "mixer", "position", "readout", "architecture"}
    elsewhere = {"hydra"}  # launchers: tests/test_launching.py
    assert set(NAMES) == {"experiment", "tier", "trainer"} | parts | elsewhere


@pytest.mark.parametrize("architecture", sorted(set(NAMES["architecture"]) - {"encoder"}))
def test_architecture(tiny, architecture):
    """On a task of its kind, that needs no data."""
    kind = ANSWERS[architecture]
    task, more = {"pairs": "reversal", "images": "clutter"}[kind], [*BESIDE.get(architecture, []), *UNMATCHED[kind]]
    record = train(tiny(f"architecture={architecture}", *more, "train.steps=2", task=task))
    assert record["multiply_adds_per_answer"] > 0
    if architecture.endswith("glimpses"):
        glimpses = record["written"]["test"]["glimpses"][0]
        assert len(glimpses["image"]) == len(glimpses["image"][0]) == 40 and len(glimpses["path"]) == 6
    if kind == "pairs":
        assert set(record["decoded"]) <= record["metrics"]["test"].keys()
        assert record["written"]["test"]["samples"][0]["reference"]


@pytest.mark.parametrize("task", [name for name, kind in KINDS.items() if kind != "tokens"])
def test_task_of_pairs_or_images(tiny, own_text, monkeypatch, task):
    monkeypatch.setattr(Corpus, "evaluation_batches", lambda *_: 1)  # else the whole of its splits is decoded
    architecture = {"pairs": "bahdanau", "images": "learned_glimpses"}[KINDS[task]]
    more = [f"architecture={architecture}", *UNMATCHED[KINDS[task]], "train.steps=2"]
    if task == "parallel_text":  # which has no data of its own
        config, files = own_text
        more += ["task.vocabulary=40", f"data.cache={config.data.cache}", *(f"task.{key}={files[key]}" for key in files)]
    train(tiny(*more, task=task))


@pytest.mark.parametrize("turn, task", enumerate(name for name, kind in KINDS.items() if kind == "tokens"))
def test_task_on_one_sequence(tiny, turn, task):
    """Each with another mixer; every mixer on a causal task and on one that isn't: tests/training/test_gpu_trainer.py."""
    mixer = NAMES["mixer"][turn % len(NAMES["mixer"])]
    record = train(tiny(f"mixer={mixer}", *UNMATCHED["tokens"], "train.steps=2", task=task))
    assert (record["config"]["mixer"]["name"], record["config"]["task"]["name"]) == (mixer, task)


@pytest.mark.parametrize("turn", range(max(len(NAMES["position"]), len(NAMES["readout"]))))
def test_position_and_readout_in_a_bidirectional_model(tiny, turn):
    """In causal ones: tests/training/test_gpu_trainer.py."""
    both = [f"{group}={NAMES[group][turn % len(NAMES[group])]}" for group in ("position", "readout")]
    train(tiny(*both, *UNMATCHED["tokens"], "train.steps=2", task="reverse"))


@pytest.mark.parametrize("tier", NAMES["tier"])
def test_tier(tiny, tier):
    config = tiny(f"tier={tier}", "train.steps=2")
    assert config.tier == tier
    assert train(config)["plan"]["tier"] == tier


def test_a_tier_sets_its_sizes_and_the_command_line_has_the_last_word(compose):
    assert compose("tier=full").model.width == 128
    assert compose("tier=full", "model.width=32").model.width == 32
    assert compose("tier=core").model.width == compose().model.width == 64


@pytest.mark.parametrize("trainer", NAMES["trainer"])
def test_trainer(tiny, trainer):
    config = tiny(f"trainer={trainer}", "train.steps=2")
    validate(config)
    train(config)


@pytest.mark.parametrize(("turn", "name"), enumerate(NAMES["experiment"]))
def test_every_planned_run_of_an_experiment(turn, name, compose):
    """No two runs share a digest, within a tier or across tiers. Each cell composes and builds, in one tier by turns: there,
    no two runs at the ends of cells share a name."""
    experiment = experiments.load(name)
    named: dict[str, tuple] = {}
    digests: dict[tuple[str, str], tuple] = {}
    for offset, tier in enumerate(experiment.tiers, start=turn):
        by_cell: dict[tuple[str, str], list[experiments.PlannedRun]] = {}
        for run in all_runs(experiment, tier):
            by_cell.setdefault(run.cell, []).append(run)
            known = (tier, run.cell, run.role, run.rate, run.seed)
            assert digests.setdefault((run.role, run.digest), known) == known
        assert by_cell.keys() == {*experiment.cells(tier), *experiment.tuned_cells(tier)}
        for runs in list(by_cell.values())[offset % len(experiment.tiers) :: len(experiment.tiers)]:
            config = composed(name, runs[0], compose)
            for run in (runs[0], runs[-1]):
                if run.rate is not None:
                    config.train.rate = run.rate
                config.seed = run.seed
                config.origin.role = run.role
                known = (tier, run.cell, run.role, run.rate, run.seed)
                own = schema.name(config)
                assert named.setdefault(own, known) == known
                assert len(own) <= LONGEST_NAME


def composed(name, run, compose):
    """The config of a run, whose model can be built."""
    origin = [f"origin.{key}={value}" for key, value in {"experiment": name, "arm": run.cell[0], "task": run.cell[1]}.items()]
    config = compose(*run.overrides, *origin, "data.download=false")
    try:
        validate(config)
    except FileNotFoundError:  # the model can be built all the same, on what is like it and needs no file
        task = run.settings["task"]
        if KINDS[task] == "tokens":
            validate(compose(*run.overrides, f"task={task.replace('shakespeare', 'pydoc')}"))
        else:
            kept = [f"{key}={value}" for key, value in run.settings.items() if not key.startswith("task")]
            validate(compose(f"task={'reversal' if KINDS[task] == 'pairs' else 'clutter'}", *kept))
    return config


def all_runs(experiment, tier):
    """Tuning runs, and verdict runs at two of the rates that may be chosen."""
    sizes = experiment.sizes(tier)
    runs = experiment.tuning_runs(tier)
    for rate in sorted({sizes.rates[0], sizes.rates[-1]}):
        runs += [
            run
            for run in experiment.verdict_runs(tier, dict.fromkeys(experiment.cells(tier), rate), experiment.cells(tier))
            if run.rate is not None or rate == sizes.rates[0]
        ]
    return runs


@pytest.mark.parametrize("name", NAMES["experiment"])
def test_an_experiment_is_small_in_smoke_and_declares_all_tiers(name):
    experiment = experiments.load(name)
    assert set(experiment.tiers) == set(TIERS)
    for tier in experiment.tiers:
        fewest = 2 if tier == "smoke" else 5
        assert len(experiment.sizes(tier).verdict_seeds) >= fewest
    for cell in experiment.cells("smoke"):
        settings = experiment.settings("smoke", cell)
        if experiment.tasks[cell[1]].measure == "training":
            assert settings["train.steps"] <= 20


@pytest.mark.parametrize("tier", NAMES["tier"])
def test_no_two_arms_of_a_task_are_one_model(compose, tier):
    base = compose(f"tier={tier}")

    def value(settings, key):
        default = OmegaConf.select(base, key)
        return settings.get(key, default.get("name") if OmegaConf.is_config(default) and key in parts.GROUPS else default)

    for experiment in map(experiments.load, NAMES["experiment"]):
        for task in experiment.tiers[tier].tasks:
            arms = {cell[0]: experiment.settings(tier, cell) for cell in experiment.cells(tier) if cell[1] == task}
            varied = sorted(set().union(*arms.values()))
            models = {arm: str([value(settings, key) for key in varied]) for arm, settings in arms.items()}
            assert len(set(models.values())) == len(models), (experiment.name, task, models)


def test_arms_match_in_parameters_in_the_base_recipe(compose):
    """Arms have equally many parameters, embeddings aside, within 2 %; encoder-decoders those of a Transformer."""

    def count(*overrides):
        config = compose(*overrides)
        return build_model(config, build_task(config)).parameter_counts()["other"]

    full, transformer = count(), count("task=reversal", "architecture=transformer")
    for group, name in ((each, name) for each in ("mixer", "readout") for name in NAMES[each]):
        assert count(f"{group}={name}") == pytest.approx(full, rel=0.02), name
    for name in (name for name, kind in ANSWERS.items() if kind == "pairs"):
        arm = count("task=reversal", f"architecture={name}", *BESIDE.get(name, []))
        assert arm == pytest.approx(transformer, rel=0.02), name


def test_arms_match_in_work_in_the_base_recipe(compose):
    def work(*overrides):
        config = compose(*overrides)
        task = build_task(config)
        return kind_of(config, task).token_work(build_model(config, task))

    full = work()
    for mixer in NAMES["mixer"]:
        assert work(f"mixer={mixer}", "model.match=multiply_adds") == pytest.approx(full, rel=0.02), mixer


def test_a_convolutional_net_matches_the_glimpse_model_in_parameters_or_in_work(compose):
    def build(*overrides):
        config = compose("task=clutter", *overrides)
        return build_model(config, build_task(config))

    image_BHW = torch.zeros(1, *2 * [build_task(compose("task=clutter")).size])
    glimpses, as_large = (build(f"architecture={name}") for name in ("learned_glimpses", "cnn"))
    same_work = build("architecture=cnn", "model.match=multiply_adds")
    assert as_large.parameter_counts()["other"] == pytest.approx(glimpses.parameter_counts()["other"], rel=0.02)
    assert multiply_adds(same_work, image_BHW) == pytest.approx(multiply_adds(glimpses, image_BHW), rel=0.02)
