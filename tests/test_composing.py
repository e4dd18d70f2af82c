"""Configs composed quickly are those that Hydra composes."""

import hydra
import pytest
import yaml
from omegaconf import OmegaConf

from study import parts, schema
from study.composing import Composer
from study.help import explain
from tests.conftest import CONF

pytestmark = pytest.mark.slow

ASKED = [
    [],
    ["train.steps=3", "mixer.heads=2", "tier=full", "mixer=window", "train.steps=4", "runs=elsewhere", "seed=3"],
    ["task=mqar", "task.pairs=[1,2]", "+mixer.extra=3", "~train", "origin.digest='0123'", "tracking.entity=null"],
    ["mixer=gru", "mixer=lstm", "mixer=window"],
    ["tier=smoke", "model.width=32", "trainer=gpu", "trainer.gpus=0.5", "data.root=''"],
    ["tier=full", "task=reversal", "architecture=bahdanau", "readout=max", "position=relative", "position.clip=3", "mixer=gru"],
]
REFUSED = """
    train.stepz=3 mixer.window=3 seed=abc mixer=lsmt train.steps=1,2 +seed=1 ~nothing task/x=1 mixer=a,b +mixer=gru
""".split()


@pytest.fixture(scope="module")
def hydras():
    schema.register()

    def load(overrides):
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return hydra.compose("config", overrides)

    return load


@pytest.mark.parametrize("overrides", ASKED, ids=" ".join)
def test_it_is_the_same_config_time_and_again(hydras, overrides):
    compose, expected = Composer(hydras), hydras(overrides)
    for _ in range(2):
        config = compose(overrides)
        assert config == expected and OmegaConf.is_struct(config) == OmegaConf.is_struct(expected)
        config.seed, config.mixer.name = 99, "changed"
        assert compose(["seed=98"]).seed == 98


@pytest.mark.parametrize("override", REFUSED)
def test_it_is_refused_in_the_same_words(hydras, override):
    said = []
    for compose in (hydras, Composer(hydras)):
        with pytest.raises(Exception) as caught:  # noqa: B017 (of Hydra or of OmegaConf)
            compose([override])
        said.append((type(caught.value), explain(caught.value)))
    assert said[0] == said[1]


def test_hydra_is_asked_once_for_what_no_part_is_in(hydras):
    read = []
    compose = Composer(lambda overrides: (read.append(overrides), hydras(overrides))[1])
    for seed in range(3):
        for mixer in ("lstm", "attention"):
            for task in ("mqar", "copy"):
                config = compose([f"mixer={mixer}", f"seed={seed}", f"task={task}", "train.rate=0.1"])
                assert (config.mixer.name, config.task.name) == (mixer, task)
    compose(["tier=full", "mixer=gru"])
    assert read == [[], ["tier=full"]]


@pytest.mark.parametrize("group", parts.GROUPS)
def test_a_part_says_nothing_of_what_stands_elsewhere(group):
    """So its file can be read apart from those of the others."""
    for path in (CONF / group).glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "@package" not in text and "defaults" not in yaml.safe_load(text)
