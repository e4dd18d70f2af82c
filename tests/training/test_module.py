"""The training step against a bare loop and hand-computed values; what "solved" means; that it learns."""

import math

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F

from study.seeding import stream
from study.tasks.base import IGNORE
from study.training.build import build_model, build_task
from study.training.module import Diverged, Training, parameter_groups, rate_factor
from study.training.scores import Scores
from study.training.train import make_trainer


@pytest.fixture
def fit():
    """fit(config, callback, ...): the module after training."""

    def fitted(config, *callbacks):
        torch.manual_seed(stream(config.seed, "init"))
        task = build_task(config)
        module = Training(build_model(config, task), task, config)
        make_trainer(config, list(callbacks)).fit(module)
        return module

    return fitted


def bare_loop(config):
    """The same training without the harness: (model, losses)."""
    torch.manual_seed(stream(config.seed, "init"))
    task = build_task(config)
    model = build_model(config, task).train()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.train.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.0, fused=True)
    losses = []
    steps, rising = config.train.steps, round(config.train.warmup * config.train.steps)
    for step in range(steps):
        share = (step + 1) / rising if step < rising else (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2
        for group in optimizer.param_groups:
            group["lr"] = config.train.rate * share
        torch.manual_seed(stream(config.seed, "dropout", step))
        generator = torch.Generator().manual_seed(stream(config.seed, "train", step))
        batch = task.batch(config.train.batch, generator, "train")
        logits_BTV = model(batch.tokens_BN, batch.where_BT, batch.mask_BN)
        losses.append(F.cross_entropy(logits_BTV.flatten(0, 1), batch.targets_BT.flatten(), ignore_index=IGNORE))
        optimizer.zero_grad()
        losses[-1].backward()
        nn.utils.clip_grad_norm_([*decayed, *rest], config.train.clip)
        optimizer.step()
    return model, [loss.item() for loss in losses]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["recall", "reverse"])  # one scored place; many, padded and bidirectional
def test_training_equals_a_bare_loop_bit_for_bit(tiny, fit, task):
    config = tiny(
        "train.steps=12",
        "train.warmup=0.25",
        "train.evaluate_every=4",
        "model.dropout=0.1",
        "train.clip=0.5",
        "train.rate=0.01",
        "train.weight_decay=0.1",
        task=task,
    )
    module = fit(config)
    model, losses = bare_loop(config)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, module.model.state_dict()[name]), name
    assert [row["step"] for row in module.curve] == [4, 8, 12]
    means = [sum(losses[i : i + 4]) / 4 for i in (0, 4, 8)]
    assert [row["train_loss"] for row in module.curve] == pytest.approx(means, rel=1e-6)


def test_rate_rises_linearly_then_falls_along_a_cosine_to_zero():
    half = math.sqrt(0.5)
    table = [0.5, 1.0, 1.0, (1 + math.cos(math.pi / 8)) / 2, (1 + half) / 2, None, 0.5, None, (1 - half) / 2, None, 0.0]
    for step, factor in enumerate(table):
        if factor is not None:
            assert rate_factor(step, steps=10, warmup=0.2) == pytest.approx(factor, abs=1e-12)
    assert [rate_factor(step, 4, 0.0) for step in (0, 1)] == [1.0, 1.0]  # no warm-up: one step at the full rate
    assert rate_factor(3, 4, 0.9) == 1.0  # nothing left to fall along


def test_norms_and_biases_do_not_decay(compose):
    config = compose("position=learned", "mixer=lstm")
    model = build_model(config, build_task(config))
    decaying, rest = parameter_groups(model, 0.3)
    assert (decaying["weight_decay"], rest["weight_decay"]) == (0.3, 0.0)
    of = {id(p): name for name, p in model.named_parameters()}
    kept = {of[id(p)] for p in rest["params"]}
    norms = {
        f"{name}.{own}"
        for name, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        for own, _ in module.named_parameters()
    }
    biases = {name for name in of.values() if "bias" in name}
    assert norms | biases <= kept
    assert kept | {of[id(p)] for p in decaying["params"]} == set(of.values())
    assert not kept & {of[id(p)] for p in decaying["params"]}
    assert all(p.ndim >= 2 for p in decaying["params"])


def test_gradients_are_clipped(tiny, fit):
    norms = []

    class Watch(pl.Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):  # after backward, before clipping
            norms.append([self.norm(module)])

        def on_before_zero_grad(self, trainer, module, optimizer):
            if norms and len(norms[-1]) == 1:
                norms[-1] += [self.norm(module), float(module.gradient_norm)]

        def norm(self, module):
            return math.sqrt(sum(float(p.grad.square().sum()) for p in module.parameters() if p.grad is not None))

    fit(tiny("train.clip=0.01"), Watch())
    before, after, told = zip(*[seen for seen in norms if len(seen) == 3], strict=True)
    assert min(before) > 0.01
    assert max(after) <= 0.01 + 1e-6
    assert told == pytest.approx(before)


def test_training_and_evaluation_never_draw_the_same_batch(tiny, fit, monkeypatch):
    config = tiny("train.steps=30", "train.evaluate_every=10", "evaluation.validation_items=40")
    task_class = type(build_task(config))
    real, drawn = task_class.batch, {}

    def watched(self, size, generator, split="train"):
        drawn.setdefault(split, []).append(generator.initial_seed())
        return real(self, size, generator, split)

    monkeypatch.setattr(task_class, "batch", watched)
    module = fit(config)
    module.evaluate(module.task, "test")
    seeds = {split: {seed % 2**32 for seed in found} for split, found in drawn.items()}  # what the CPU generator reads
    assert seeds.keys() == {"train", "validation", "test"}
    assert len(seeds["train"]) == 30
    assert not seeds["train"] & seeds["validation"] and not seeds["train"] & seeds["test"]
    assert not seeds["validation"] & seeds["test"]


def test_every_evaluation_sees_the_same_validation_items(tiny, fit):
    """So that a curve moves with the model, not with the sample."""
    config = tiny("train.steps=2", "train.evaluate_every=1", "train.rate=1e-30", "train.weight_decay=0")
    first, second = fit(config).curve
    assert first["validation_loss"] == second["validation_loss"]
    assert first["validation_accuracy"] == second["validation_accuracy"]


@pytest.mark.parametrize("task", ["recall", "reverse", "pydoc"])
def test_at_least_the_asked_number_of_items_is_scored(tiny, fit, task):
    module = fit(tiny("evaluation.test_items=300", task=task))
    scores, slices = module.evaluate(module.task, "test")
    assert scores["items"] >= 300
    assert all(sum(v["items"] for v in values.values()) == scores["items"] for values in slices.values())


def scripted(monkeypatch, accuracies):
    """Let the evaluations on validation give these accuracies, one after another."""
    left = iter(accuracies)
    monkeypatch.setattr(Scores, "compute", lambda self: ({"loss": 0.5, "accuracy": next(left)}, {}))


def test_first_reaching_counts_and_a_sure_solution_stops_where_it_shall(tiny, fit, monkeypatch):
    reaching = [0.5, 0.91, 0.89, 0.992, 0.98, 0.996, 1.0]  # 0.996 is at least (1 + 0.99) / 2
    for accuracies, overrides, expected in [
        (reaching, ["train.steps=20"], (4, 8, 12)),
        (reaching, ["train.steps=14", "train.stop_when_solved=false"], (4, 8, 14)),
        ([0.2, 0.85, 0.3], ["train.steps=6"], (None, None, 6)),
    ]:
        scripted(monkeypatch, accuracies)
        module = fit(tiny("train.evaluate_every=2", *overrides))
        assert (module.steps_to_90, module.steps_to_solve, module.global_step) == expected, overrides
        assert module.curve[-1]["step"] == module.global_step


def test_a_text_is_never_solved(tiny, fit, monkeypatch):
    monkeypatch.setattr(
        Scores, "compute", lambda self: ({"loss": 0.1, "accuracy": 1.0, "bits_per_character": 0.1 / math.log(2)}, {})
    )
    module = fit(tiny("train.steps=4", task="pydoc"))
    assert (module.steps_to_90, module.steps_to_solve, module.global_step) == (None, None, 4)
    assert module.curve[-1].keys() == {"step", "train_loss", "validation_loss", "validation_bits_per_character"}


def test_a_loss_that_is_no_number_is_told_from_a_bad_one(tiny, fit):
    with pytest.raises(Diverged, match="no finite number at step 2"):
        fit(tiny("train.rate=1e30", "train.clip=1e30", "train.warmup=0"))


@pytest.mark.slow
def test_attention_learns_recall_and_the_control_without_mixing_does_not(tiny, fit):
    setup = """
        model.width=32 model.ffn_width=64 train.steps=600 train.batch=32 train.evaluate_every=50 train.rate=0.005
        evaluation.validation_items=256 evaluation.batch=128
    """.split()
    learnt = fit(tiny(*setup, "task.length=8"))
    assert learnt.steps_to_solve is not None
    scores, _ = learnt.evaluate(learnt.task, "test")
    assert scores["accuracy"] >= 0.99
    control = fit(tiny(*setup, "train.steps=200", "mixer=identity", "task.length=8"))
    assert max(row["validation_accuracy"] for row in control.curve) < 0.3
    assert control.task.chance == 1 / 8
