import hashlib
import math
from pathlib import Path

import pytest
import torch
from scipy.stats import chisquare

from study.tasks.text import PRINTABLE, CharacterText, PydocTopics, Shakespeare
from tests.cases import case
from tests.tasks.conftest import generator


@pytest.fixture(scope="module")
def pydoc():
    return PydocTopics()


def decode(task, codes):
    return "".join(task.alphabet[code] for code in codes)


def test_batches_are_stretches_of_the_text(pydoc):
    batch = pydoc.batch(20, generator())
    for tokens, targets in zip(batch.tokens_BN.tolist(), batch.targets_BT.tolist(), strict=True):
        assert decode(pydoc, tokens) + decode(pydoc, targets[-1:]) in pydoc.text
        assert tokens[1:] == targets[:-1]


def test_splits_are_90_5_5_percent_in_order_and_share_nothing():
    # each character tells where it stands: 900 to train, 50 to validate, 50 to test
    text = "a" + "b" * 898 + "c" + "d" + "e" * 48 + "f" + "g" + "h" * 48 + "i"
    task = CharacterText(text=text, alphabet="abcdefghi", length=3)
    for split, letters in (("train", "abc"), ("validation", "def"), ("test", "ghi")):
        batch = task.batch(20_000, generator(), split)
        codes = {*batch.tokens_BN.flatten().tolist(), *batch.targets_BT.flatten().tolist()}
        assert set(decode(task, codes)) == set(letters), "from the split's first character to its last"
        assert decode(task, {int(batch.tokens_BN.min())}) == letters[0]
        assert decode(task, {int(batch.targets_BT.max())}) == letters[2]


def test_share_keeps_the_first_part_of_the_training_split_and_all_of_the_others():
    text = "a" * 100 + "b" * 800 + "c" * 50 + "d" * 50
    keys = {"text": text, "alphabet": "abcd", "length": 3}
    whole, part = CharacterText(**keys), CharacterText(**keys, share=1 / 9)
    batch = part.batch(5000, generator())
    assert set(decode(part, batch.targets_BT.flatten().tolist())) == {"a"}
    assert part.bounds["train"] == (0, 100)
    for split in ("validation", "test"):
        assert torch.equal(part.batch(50, generator(), split).tokens_BN, whole.batch(50, generator(), split).tokens_BN)
    # 100 a, 50 d in the test split, counts start at one: d is as rare as can be
    assert part.heuristic[1] == pytest.approx(-math.log2(1 / 104), rel=1e-12)


def test_the_whole_share_is_as_no_share(pydoc):
    assert torch.equal(PydocTopics(share=1.0).batch(50, generator()).tokens_BN, pydoc.batch(50, generator()).tokens_BN)


def test_bad_share():
    for share in [0, -0.1, 1.01, math.nan]:
        with case(share), pytest.raises(ValueError, match=f"^share is {share}; it must be above 0 and at most 1"):
            CharacterText(text="a" * 100, alphabet="a", length=1, share=share)


def test_a_share_too_small_for_the_context():
    with pytest.raises(ValueError, match="^length is 10, but the text's shortest split has 9 characters"):
        CharacterText(text="a" * 1000, alphabet="a", length=10, share=0.01)


def test_offsets_are_uniform():
    task = CharacterText(text=PRINTABLE, alphabet=PRINTABLE, length=1)  # each character occurs once
    starts = torch.bincount(task.batch(20_000, generator()).tokens_BN.flatten())
    assert len(starts) == round(0.9 * 96) - 1
    assert chisquare(starts.numpy()).pvalue > 1e-3


def test_slices(pydoc, rows, power_bin):
    for _, targets, slices in rows(pydoc.batch(2, generator())):
        assert slices == {"position": {i: power_bin(i + 1) for i in targets}}


def test_solver_by_hand():
    assert CharacterText(text="ab" * 50, alphabet="ab", length=2).solve([0, 1, 1]) == [1, 1, -100]


def test_heuristic_by_hand():
    # train: 60 a, 30 b, no c; test: 3 a, 1 b, 1 c; one is added to each count
    text = "a" * 60 + "b" * 30 + "aaaaa" + "aaabc"
    task = CharacterText(text=text, alphabet="abc", length=2)
    bits = -(3 * math.log2(61 / 93) + math.log2(31 / 93) + math.log2(1 / 93)) / 5
    assert task.heuristic[1] == pytest.approx(bits, rel=1e-12)


def test_bad_length():
    for length, message in [
        (0, "length is 0; it must be at least 1"),
        (5, "length is 5, but the text's shortest split has 5 characters; use at most 4"),
    ]:
        with case(length, message), pytest.raises(ValueError, match=f"^{message}$"):
            CharacterText(text="a" * 100, alphabet="a", length=length)


def test_the_longest_context_has_one_offset():
    task = CharacterText(text="ab" * 50, alphabet="ab", length=4)
    assert len({tuple(row) for row in task.batch(50, generator(), "test").tokens_BN.tolist()}) == 1


def test_unknown_split(pydoc):
    with pytest.raises(ValueError, match="^unknown split 'out' of a text; use one of train, validation, test$"):
        pydoc.batch(2, generator(), "out")


def test_pydoc_vocabulary_is_printable_ascii_whatever_python_ships(pydoc):
    assert PRINTABLE == "\n" + "".join(map(chr, range(32, 127)))
    assert pydoc.vocabulary == pydoc.classes == 96
    assert set(pydoc.text) <= set(PRINTABLE)


def test_pydoc_text_is_the_topics(pydoc):
    from pydoc_data.topics import topics

    for name, text in topics.items():
        if set(text) <= set(PRINTABLE):
            assert text in pydoc.text, name
    assert pydoc.text.startswith(topics[min(topics)])
    assert len(pydoc.text) == sum(map(len, topics.values())) + len(topics) - 1
    strange = sum(1 for text in topics.values() for character in text if character not in PRINTABLE)
    asked = sum(text.count("?") for text in topics.values())
    assert pydoc.text.count("?") == asked + strange


def test_pydoc_provenance(pydoc):
    provenance = pydoc.provenance()
    assert provenance["characters"] == len(pydoc.text) > 300_000
    assert provenance["sha256"] == hashlib.sha256(pydoc.text.encode()).hexdigest()
    assert "Python 3." in provenance["source"]


def test_shakespeare_is_the_published_text(shakespeare):
    assert len(shakespeare.text) == 1_115_394
    assert shakespeare.vocabulary == shakespeare.classes == 65
    assert shakespeare.text.startswith("First Citizen:\nBefore we proceed any further")
    assert shakespeare.provenance() == {
        "source": Shakespeare.url,
        "path": "tinyshakespeare/input.txt",
        "sha256": Shakespeare.sha256,
        "characters": 1_115_394,
    }


def test_shakespeare_round_trip(shakespeare):
    batch = shakespeare.batch(10, generator(), "test")
    tail = shakespeare.text[round(0.95 * 1_115_394) :]
    for tokens in batch.tokens_BN.tolist():
        assert decode(shakespeare, tokens) in tail


def test_shakespeare_reads_the_file_under_root(tmp_path, monkeypatch):
    text = "To be, or not to be\n" * 100
    Path(tmp_path, "tinyshakespeare").mkdir()
    Path(tmp_path, "tinyshakespeare", "input.txt").write_text(text)
    monkeypatch.setattr(Shakespeare, "sha256", hashlib.sha256(text.encode()).hexdigest())
    task = Shakespeare(root=str(tmp_path), download=False, length=10)
    assert task.text == text and task.vocabulary == len(set(text))
