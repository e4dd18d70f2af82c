"""CMUdict: the true file where it is there, and a small one in its place."""

import hashlib
import json
from pathlib import Path

import pytest

from study.tasks.cmudict import Cmudict, entries
from tests.tasks.conftest import generator

LINES = """\
'bout B AW1 T
a AH0
a(2) EY1
aalborg AO1 L B AO0 R G # place, danish
aalborg(2) AA1 L B AO0 R G
abbey AE1 B IY0
abbey(2) AE2 B IY1
abbott's AE1 B AH0 T S
a.d. EY2 D IY1
co-op K OW1 AA2 P
""".splitlines()


def test_entries_by_hand():
    assert entries(LINES, stress=True) == {
        "a": ["AH0", "EY1"],
        "aalborg": ["AO1 L B AO0 R G", "AA1 L B AO0 R G"],
        "abbey": ["AE1 B IY0", "AE2 B IY1"],
    }
    assert entries(LINES, stress=False) == {
        "a": ["AH", "EY"],
        "aalborg": ["AO L B AO R G", "AA L B AO R G"],
        "abbey": ["AE B IY"],  # alike without stress
    }


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A dictionary of 600 words, each said letter by letter; every third has a variant that begins with X."""
    lines = list(LINES)
    for number in range(600):
        word = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        lines.append(f"{word} {' '.join(letter.upper() + '1' for letter in word)}")
        if number % 3 == 0:
            lines.append(f"{word}(2) X {' '.join(letter.upper() + '2' for letter in word)} # a comment")
    data = ("\n".join(lines) + "\n").encode()
    (tmp_path / "cmudict").mkdir()
    (tmp_path / "cmudict" / "cmudict.dict").write_bytes(data)
    monkeypatch.setattr(Cmudict, "sha256", hashlib.sha256(data).hexdigest())
    return Cmudict(root=str(tmp_path), download=False, cache=str(tmp_path / "cache"))


def words(task, split, size=100_000):
    """Word, phones and references of each pair of a split, in order."""
    store = task.stores[split]
    for row in range(len(store)):
        source, target = (side[row].tolist()[:-1] for side in (store.source, store.target))
        references = store.references[row].tobytes().decode().split("\n")
        yield "".join(task.source_names(source)), task.write(target), references


def check_splits(task, spoken):
    """Each word lies in one split, the one that its hash says; all variants train; others have each word once."""
    found = {split: list(words(task, split)) for split in ("train", "validation", "test")}
    seen = {split: {word for word, _, _ in own} for split, own in found.items()}
    assert seen["train"] | seen["validation"] | seen["test"] == set(spoken)
    assert sum(map(len, seen.values())) == len(spoken), "no word is in two splits"
    for split in ("validation", "test"):
        assert len(seen[split]) == pytest.approx(0.05 * len(spoken), abs=4 * (0.05 * 0.95 * len(spoken)) ** 0.5)
    assert sorted((word, said) for word, said, _ in found["train"]) == sorted(
        (word, said) for word in seen["train"] for said in spoken[word]
    )
    for split in ("validation", "test"):
        assert len(found[split]) == len(seen[split])
        for word, said, references in found[split]:
            assert references == spoken[word] and said == spoken[word][0]


def test_splits(small):
    lines = Path(small.stores["train"].order.filename).parents[2].joinpath("cmudict", "cmudict.dict").read_text().splitlines()
    check_splits(small, entries(lines, stress=False))


def test_a_word_keeps_its_split_when_others_come_and_go(small):
    expected = {}
    for split in ("train", "validation", "test"):
        for word, _, _ in words(small, split):
            expected[word] = split
    shares = {"train": range(90), "validation": range(90, 95), "test": range(95, 100)}
    for word, split in expected.items():
        assert int(hashlib.sha256(word.encode()).hexdigest()[:16], 16) % 100 in shares[split]


def test_any_reference_is_right(small):
    batches = [small.evaluation_batch(i, 7, generator(), "test") for i in range(small.evaluation_batches(1, 7, "test"))]
    references = [texts for batch in batches for texts in batch.references]
    assert {len(several) for several in references} == {1, 2}
    number = {name: token for token, name in enumerate(small.target_names(list(range(small.classes))))}

    def score(choose):
        outputs = [[number[phone] for phone in choose(several).split()] for several in references]
        return small.judge(outputs, batches)[0]

    items = len(references)
    for choose in (lambda several: several[0], lambda several: several[-1]):
        assert score(choose) == {"items": items, "word_error_rate": 0, "phoneme_error_rate": 0}
    wrong = score(lambda several: f"{several[0]} X")
    shortest = sum(len(several[0].split()) for several in references)
    assert wrong["word_error_rate"] == 1 and wrong["phoneme_error_rate"] == pytest.approx(items / shortest)


def test_read(small):
    assert small.read(" Abc ") == small.read("abc")
    assert small.source_names(small.read("abc")) == ["a", "b", "c", "</s>"]
    for text in ("añb", "a-b", "a b"):
        with pytest.raises(ValueError, match="has more than letters; write one word in a to z$"):
            small.read(text)


@pytest.mark.slow
@pytest.mark.parametrize(("stress", "phones"), [(False, 39), (True, 69)])
def test_published(published, stress, phones):
    task = published("cmudict", stress=stress)
    assert (task.vocabulary, task.classes) == (4 + 26, 4 + phones)
    assert sum(len({word for word, _, _ in words(task, split)}) for split in task.stores) == 117_493
    assert task.left_out == 0


@pytest.mark.slow
def test_published_splits(published):
    from tests.tasks.conftest import DATA

    task = published("cmudict")
    lines = (Path(DATA["${data.root}"]) / "cmudict" / "cmudict.dict").read_text().splitlines()
    spoken = entries(lines, stress=False)
    assert spoken["serendipity"] == ["S EH R AH N D IH P IH T IY"] and spoken["tomato"] == ["T AH M EY T OW", "T AH M AA T OW"]
    check_splits(task, spoken)
    assert json.dumps(task.provenance())
