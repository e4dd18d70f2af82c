"""From a config to task and model."""

import pytest
import torch

from study import schema
from study.cost.counting import multiply_adds
from study.kinds.pairs import pair_work
from study.mixers.attention import Attention
from study.mixers.convolution import DilatedConvolution
from study.mixers.window import WindowAttention
from study.positions.learned import Learned
from study.tasks.reverse import Reverse
from study.tokens import END
from study.training import build
from tests.test_every_config import ANSWERS, BESIDE, UNMATCHED


def test_the_config_is_what_is_built(compose):
    config = compose(
        "task=reverse",
        "task.symbols=5",
        "mixer=window",
        "mixer.window=6",
        "position=learned",
        "model.layers=3",
        "model.width=32",
        "mixer.heads=2",
    )
    task = build.build_task(config)
    assert isinstance(task, Reverse) and task.classes == 5
    model = build.build_model(config, task)
    assert [type(mixer) for mixer in model.mixers] == [WindowAttention] * 3
    assert [(m.width, m.causal, m.window, m.heads) for m in model.mixers] == [(32, False, 6, 2)] * 3
    assert isinstance(model.position, Learned)
    assert model.head.out_features == 5
    assert model.embedding.num_embeddings == task.vocabulary


@pytest.mark.parametrize("architecture", [name for name, kind in ANSWERS.items() if kind == "pairs"])
def test_the_work_of_a_pair_is_what_is_counted_of_it(compose, architecture):
    """It is worked out from three short sources, since their mean length may be no whole number."""
    config = compose("task=reversal", f"architecture={architecture}", *UNMATCHED["pairs"], *BESIDE.get(architecture, []))
    model = build.build_model(config, build.build_task(config)).eval()
    source_1M, target_1T = torch.full((1, 9), END), torch.full((1, 7), END)
    assert pair_work(model, 9, 7) == multiply_adds(model, source_1M, target_1T)


def test_a_mixer_is_told_its_layer(compose):
    config = compose("mixer=dilated", "model.layers=3")
    model = build.build_model(config, build.build_task(config))
    assert [type(m) for m in model.mixers] == [DilatedConvolution] * 3
    assert [m.dilation for m in model.mixers] == [1, 5, 25]


@pytest.mark.parametrize("mixer", ["attention", "lstm"])
def test_untied_is_brought_to_the_parameters_of_tied(compose, mixer):
    base = ["task=pydoc_subwords", "task.vocabulary=256", f"mixer={mixer}", "model.layers=2"]
    tied, untied = (
        build.build_model(config, build.build_task(config))
        for config in (compose(*base, "model.tie=output"), compose(*base, "model.match=tied"))
    )
    assert tied.embedding.weight is tied.head.weight and untied.embedding.weight is not untied.head.weight
    counts = [sum(model.parameter_counts().values()) for model in (tied, untied)]
    assert counts[1] == pytest.approx(counts[0], rel=0.002)


@pytest.mark.parametrize(("match", "width"), [("nothing", 256), ("parameters", 125), ("multiply_adds", 192)])
def test_the_feed_forward_width_by_hand(compose, match, width):
    """Of an LSTM, 64 wide: 4 x 64^2 + 8 x 64 parameters more than attention, in units of 129; 8 x 64^2 multiply-adds beside
    4 x 64^2 + 2 x 64 x 64 at 64 tokens, in units of 128."""
    config = compose("mixer=lstm", f"model.match={match}")
    assert {block.ffn[0].out_features for block in build.build_model(config, build.build_task(config)).blocks} == {width}


def test_validating_builds_no_weights(compose, monkeypatch):
    """A sweep validates hundreds of cells, the biggest models among them, before it trains one."""
    built = []
    real = build.build_model
    monkeypatch.setattr(build, "build_model", lambda *a: built.append(real(*a)) or built[-1])
    build.validate(compose("tier=full", "model.width=2048", "model.layers=8"))
    (model,) = built
    assert all(p.device.type == "meta" for p in model.parameters())


def test_dropout_reaches_the_model(compose):
    config = compose("model.dropout=0.25")
    model = build.build_model(config, build.build_task(config))
    rates = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.25}


def test_a_part_is_its_class_and_its_keywords(compose):
    config = compose("mixer.heads=8")
    schema.check(config)
    assert build.part(config, "mixer") == (Attention, {"heads": 8, "head_width": None})
