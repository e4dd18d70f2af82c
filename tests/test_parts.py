"""What is read off the source of a part is what Python makes of it; nothing else than a part is ever imported."""

import inspect
import sys
import typing

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from study import parts, schema
from study.training import build

ALL = [(room, name, target) for room in parts.ROOMS for name, target in parts.choices(room).items()]


@pytest.mark.parametrize(("room", "name", "target"), ALL, ids=[f"{room}={name}" for room, name, _ in ALL])
def test_the_outline_of_a_part_is_that_of_its_class(room, name, target):
    true, outline = get_class(target), parts.outline(target)
    package, base = parts.ROOMS[room]
    assert true.__module__.startswith(f"{package}.") and issubclass(true, get_class(base)) and true is not get_class(base)
    ours = {each.__name__ for each in true.__mro__ if each.__module__.startswith("study.")}
    assert {each.__name__ for each in outline.__mro__} - {"object", "_Root"} == ours
    signature = inspect.signature(true).parameters
    assert parts.asked(target) == set(signature)
    hints = typing.get_type_hints(true.__init__)
    keywords = schema.part_parameters(room, target)
    named = {key for key, each in signature.items() if each.kind is inspect.Parameter.KEYWORD_ONLY}
    assert set(keywords) == named - schema.GIVEN[room]
    for key, parameter in keywords.items():
        assert parameter == signature[key].replace(annotation=hints[key])
        assert type(parameter.default) is type(signature[key].default)
    assert parts.find(target) == room and parts.choice(target) == parts.choice(true) == f"{room}={name}"
    assert parts.load(target) is true
    if room in ("task", "architecture"):
        assert outline.kind == true.kind


FOREIGN = [
    "os.system",
    "stranger.Evil",
    "study.mixers.attention.torch.nn.Linear",
    "study.mixers.base.Mixer",
    "study.mixers.static.Static",
    "study.mixers../../stranger.Evil",
    "study.training.runner.execute",
    "Attention",
    "",
    None,
    3,
]


@pytest.mark.parametrize("target", FOREIGN, ids=str)
def test_nothing_but_a_part_of_the_study_is_imported(tmp_path, monkeypatch, target):
    (tmp_path / "stranger.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    for read in (parts.load, parts.find, lambda target: build.part(OmegaConf.create({"_target_": target}))):
        with pytest.raises(ValueError, match="choose parts by name, e.g. mixer=lstm") as caught:
            read(target)
        assert "\n" not in str(caught.value)
    assert "stranger" not in sys.modules and not (tmp_path / "ran").exists()


BASE = "class Mixer:\n    def __init__(self, width, *, causal: bool): ...\n"
MISTAKEN = [
    ("", "there is no class Own in study/mixers/own.py"),
    ("class Own: ...", "conf/mixer/ names study.mixers.own.Own: it must be a class of study.mixers that derives from "),
    (
        "from study.mixers.base import Mixer as M\nclass Own(M):\n    def __init__(self, width, *, causal: bool, size=3): ...",
        "study.mixers.own.Own: its keyword size has no type; a config key needs one",
    ),
    (
        "from study.mixers.base import Mixer\nclass Own(Mixer):\n    def __init__(self, width, *, causal: bool, a: Tens): ...",
        "study.mixers.own.Own: name 'Tens' is not defined; a config key is of bool, int, float, str, ",
    ),
]


@pytest.fixture
def another_root(tmp_path, monkeypatch):
    """A study with one mixer; nothing that was read elsewhere is remembered."""
    for folder in ("conf/mixer", "study/mixers"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "conf/mixer/own.yaml").write_text("_target_: study.mixers.own.Own\n")
    (tmp_path / "study/mixers/base.py").write_text(BASE)
    cached = (parts.choices, parts.outline, parts.keywords, parts._outline, parts._parse)
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    for function in cached:
        function.cache_clear()
    yield tmp_path
    for function in cached:
        function.cache_clear()


@pytest.mark.parametrize(("source", "said"), MISTAKEN)
def test_a_mistake_in_a_new_part_is_named(another_root, source, said):
    (another_root / "study/mixers/own.py").write_text(source)
    with pytest.raises(ValueError) as caught:
        parts.keywords("study.mixers.own.Own", frozenset({"causal"}))
    assert str(caught.value).startswith(said)


def test_a_new_part_is_its_class_and_its_yaml(another_root):
    source = "from study.mixers.base import Mixer as M\nclass Half(M):\n    kind = 'x'\n    size = 2 * 3\nclass Own(Half): ..."
    (another_root / "study/mixers/own.py").write_text(source)
    outline = parts.outline("study.mixers.own.Own")
    assert outline.kind == "x" and not hasattr(outline, "size"), "what is computed is no matter of a config"
    assert parts.asked("study.mixers.own.Own") == {"width", "causal"}
