"""What is read off the source of a part is what Python makes of it; nothing else than a part is ever imported."""

import inspect
import shutil
import sys
import typing
from pathlib import Path

import pytest
from hydra.utils import get_class

from study import parts
from tests.cases import case, names
from tests.processes import python

ROOT = Path(__file__).parents[1]


def taken(kind):
    """Parameters of the constructor and their types, with those that ``**given`` hands on to the bases."""
    signature, hints = {}, {}
    for each in kind.__mro__:
        if "__init__" in vars(each):
            own = dict(inspect.signature(each).parameters)
            signature, hints = own | signature, typing.get_type_hints(each.__init__) | hints
            if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in own.values()):
                break
    return {key: each for key, each in signature.items() if each.kind is not inspect.Parameter.VAR_KEYWORD}, hints


@pytest.mark.parametrize("group", parts.GROUPS)
def test_the_outline_of_a_part_is_that_of_its_class(group):
    package, base, given = parts.GROUPS[group]
    for name in parts.classes(group):
        with case(name):
            true, outline = parts.load(group, name), parts.outline(group, name)
            assert true.__module__.startswith(f"{package}.")
            assert issubclass(true, get_class(base)) and true is not get_class(base)
            assert true.name == name and parts.choice(true) == f"{group}={name}"
            ours = {each.__name__ for each in true.__mro__ if each.__module__.startswith("study.")}
            assert {each.__name__ for each in outline.__mro__} - {"object", "_Root"} == ours
            signature, hints = taken(true)
            assert parts.asked(group, name) == set(signature)
            keywords = parts.keywords(group, name)
            named = {key for key, each in signature.items() if each.kind is inspect.Parameter.KEYWORD_ONLY}
            assert set(keywords) == named - set(given.split())
            for key, parameter in keywords.items():
                assert parameter == signature[key].replace(annotation=hints[key])
                assert type(parameter.default) is type(signature[key].default)
            if group in ("task", "architecture"):
                assert outline.kind == true.kind
    assert list(parts.classes(group)) == names(group)


FOREIGN = ["os.system", "stranger.Evil", "study.mixers.attention.Attention", "../stranger", "Attention", "recall", "", None, 3]


def test_nothing_but_a_part_of_the_group_is_imported(tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Evil: name = 'evil'\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in FOREIGN:
        with case(name), pytest.raises(ValueError, match=f"^mixer={name}: there is none of this name; there are [^\n]*$"):
            parts.load("mixer", name)
    assert "stranger" not in sys.modules and not (tmp_path / "ran").exists()


SAY = """
from hydra import compose, initialize_config_dir
from study import schema
schema.register()
with initialize_config_dir(CONF, version_base="1.3"):
    config = compose("config", ["mixer=window", "mixer.window=4", "train.steps=2", "train.batch=2", "model.width=16",
        "evaluation.validation_items=8", "evaluation.test_items=8", "tracking.mode=off", "runs=RUNS"])
from study.training.build import build_model, build_task
from study.training.runner import execute
print(type(build_model(config, build_task(config)).mixers[0]).__qualname__)
record = execute(config).record
print(record["id"], record["name"], record["weights_sha256"], record["config"])
"""


def test_a_class_that_moves_and_is_renamed_keeps_ids_configs_and_records(tmp_path):
    """In a copy of the project ``WindowAttention`` becomes ``Near``, in another file."""
    for folder in ("study", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "study/mixers/window.py").rename(tmp_path / "study/mixers/near.py")
    for path in (tmp_path / "study").rglob("*.py"):
        text = path.read_text()
        path.write_text(text.replace("study.mixers.window", "study.mixers.near").replace("WindowAttention", "Near"))

    def said(root):
        code = SAY.replace("CONF", repr(str(root / "conf"))).replace("RUNS", str(tmp_path / root.name))
        done = python("-c", code, cwd=root)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    (before, *records), (after, *same) = said(ROOT), said(tmp_path)
    assert (before, after) == ("WindowAttention", "Near")
    assert records == same and "'name': 'window'" in records[0]


BASE = "class Mixer:\n    name: str\n    def __init__(self, width, *, causal: bool): ...\n"
MINE = "from study.mixers.base import Mixer\nclass Own(Mixer):\n    name = 'own'\n"
MISTAKEN = [
    (
        "class Own:\n    name = 'own'",
        "study.mixers.own.Own is called mixer=own, so it must derive from study.mixers.base.Mixer",
    ),
    (f"{MINE}class More(Own):\n    name = 'own'", "study.mixers.own.More and study.mixers.own.Own are both called mixer=own"),
    (
        f"{MINE}    def __init__(self, width, *, causal: bool, size=3): ...",
        "study.mixers.own.Own: its keyword size has no type; a config key needs one",
    ),
    (
        f"{MINE}    def __init__(self, width, *, causal: bool, a: Tens): ...",
        "study.mixers.own.Own: name 'Tens' is not defined; a config key is of bool, int, float, str, ",
    ),
]


@pytest.fixture
def another_root(tmp_path, monkeypatch):
    """A study with no mixer; nothing that was read elsewhere is remembered."""
    (tmp_path / "study/mixers").mkdir(parents=True)
    (tmp_path / "study/mixers/base.py").write_text(BASE)
    cached = (parts.classes, parts.outline, parts.keywords, parts._outline, parts._parse)
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
        parts.keywords("mixer", "own")
    assert str(caught.value).startswith(said)


def test_a_part_is_a_class_with_a_name_of_its_own(another_root):
    source = "from study.mixers.base import Mixer as M\nclass Half(M):\n    kind = 'x'\n    size = 2 * 3\n"
    (another_root / "study/mixers/own.py").write_text(f"{source}class Own(Half):\n    name = 'own'\nclass Unnamed(Own): ...\n")
    assert parts.classes("mixer") == {"own": "study.mixers.own.Own"}, "a name isn't inherited"
    outline = parts.outline("mixer", "own")
    assert outline.kind == "x" and not hasattr(outline, "size"), "computed attributes are not read"
    assert parts.asked("mixer", "own") == {"width", "causal"}


def test_keywords_are_those_of_the_class_and_of_the_bases_that_it_hands_them_on_to(another_root):
    source = """from study.mixers.base import Mixer
class Wide(Mixer):
    name = 'wide'
    def __init__(self, width, *, heads: int = 4, **given): ...
class Own(Wide):
    name = 'own'
    def __init__(self, width, *, size: int = 3, heads: int = 8, **given): ...
class Closed(Wide):
    name = 'closed'
    def __init__(self, width, *, causal: bool, size: int = 3): ...
"""
    (another_root / "study/mixers/own.py").write_text(source)
    assert parts.asked("mixer", "own") == {"width", "causal", "heads", "size"}
    keys = {name: parts.keywords("mixer", name) for name in ("wide", "own", "closed")}
    assert {name: {key: each.default for key, each in found.items()} for name, found in keys.items()} == {
        "wide": {"heads": 4},
        "own": {"size": 3, "heads": 8},
        "closed": {"size": 3},
    }
