"""Subwords: they spell the text they were cut from, are learned on the training split alone, and are counted in characters."""

import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from study.tasks.subwords import PydocSubwords, ShakespeareSubwords, Subwords
from study.tasks.text import CharacterText
from tests.cases import case
from tests.tasks.conftest import generator

ROOT = Path(__file__).parents[2]
WORDS = "low lower lowest newer newest wider "


class Small(Subwords):
    def __init__(self, text, vocabulary, length=4, share=1.0):
        super().__init__(text=text, alphabet="".join(sorted(set(text))), length=length, share=share)
        self.merge(vocabulary)


@pytest.fixture(scope="module")
def small():
    return Small(WORDS * 60, 24)


@pytest.fixture(scope="module")
def pydoc():
    return PydocSubwords(vocabulary=300)


@pytest.mark.parametrize("name", ["small", "pydoc"])
def test_tokens_spell_the_text_split_by_split(name, request):
    task = request.getfixturevalue(name)
    plain = CharacterText(text=task.text, alphabet=task.alphabet, length=1)
    for split, (start, stop) in task.bounds.items():
        spelt = "".join(task.symbols[code] for code in task.codes[start:stop].tolist())
        assert spelt == task.text[slice(*plain.bounds[split])], f"{split} is cut by itself"
    assert task.vocabulary == task.classes == len(task.symbols) == len(set(task.symbols))


def test_each_target_says_how_many_characters_it_stands_for(small):
    batch = small.batch(40, generator(), "test")
    for targets, characters in zip(batch.targets_BT.tolist(), batch.characters_BT.tolist(), strict=True):
        assert characters == [len(small.symbols[code]) for code in targets]


def test_merges_are_learned_on_the_training_split_alone():
    train, rest = "ab " * 300, "xy " * 34
    tail = Small(train + rest, 7)
    assert not any("xy" in piece for piece in tail.symbols)
    assert {"x", "y"} <= set(tail.symbols), "but every character can be said"


def test_a_share_of_the_text_has_merges_of_its_own():
    text = "ab " * 150 + "cd " * 150 + "ef " * 34
    assert not any("cd" in piece for piece in Small(text, 9, share=0.5).symbols)


def test_chance_and_heuristic_are_in_bits_per_character(small):
    start, stop = small.bounds["test"]
    codes = small.codes[start:stop].tolist()
    characters = sum(len(small.symbols[code]) for code in codes)
    assert small.chance == pytest.approx(len(codes) * math.log2(24) / characters, rel=1e-12)
    train = Counter(small.codes[slice(*small.bounds["train"])].tolist())
    bits = -sum(math.log2((train[code] + 1) / (train.total() + 24)) for code in codes)
    assert small.heuristic[1] == pytest.approx(bits / characters, rel=1e-12)


def test_bad_vocabulary():
    for vocabulary, message in [
        (11, "vocabulary is 11; it must be above 11, the text's characters, and at most 32768"),
        (40000, "vocabulary is 40000; it must be above 11, the text's characters, and at most 32768"),
        (500, "vocabulary is 500, but the training text yields [0-9]+ tokens; use at most that"),
    ]:
        with case(vocabulary, message), pytest.raises(ValueError, match=f"^{message}$"):
            Small(WORDS * 60, vocabulary)


def test_too_few_tokens_for_the_context():
    with pytest.raises(ValueError, match="the text's shortest split has [0-9]+ tokens"):
        Small(WORDS * 60, 24, length=50)


@pytest.mark.slow
def test_another_process_makes_the_same_tokens(pydoc):
    script = "from study.tasks.subwords import PydocSubwords as P; print(hash(tuple(P(vocabulary=300).codes.tolist())))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) == hash(tuple(pydoc.codes.tolist()))


@pytest.mark.slow
def test_shakespeare_in_subwords(shakespeare):
    root = os.environ.get("STUDY_DATA_ROOT", "data")
    task = ShakespeareSubwords(vocabulary=1024, root=str(ROOT / root), download=False)
    assert task.text == shakespeare.text and task.provenance() == shakespeare.provenance()
    assert 2.2 < task.characters_per_token < 2.5
    assert shakespeare.text.startswith("".join(task.symbols[code] for code in task.codes[:1000].tolist()))
