"""English numbers, by hand and back by the plain solver."""

import pytest
import torch

from study.tasks.numbers import WORDS, Numbers, words
from study.tokens import END, SPECIAL
from tests.tasks.conftest import generator


def test_words_by_hand():
    expected = {
        0: "zero",
        13: "thirteen",
        20: "twenty",
        85: "eighty five",
        100: "one hundred",
        305: "three hundred and five",
        999: "nine hundred and ninety nine",
        1000: "one thousand",
        1005: "one thousand and five",
        40_120: "forty thousand one hundred and twenty",
        700_019: "seven hundred thousand and nineteen",
        999_999: "nine hundred and ninety nine thousand nine hundred and ninety nine",
    }
    assert {number: " ".join(words(number)) for number in expected} == expected


def test_the_solver_reads_what_the_writer_wrote():
    task = Numbers()
    for number in [*range(12_000), *range(12_000, 1_000_000, 7919)]:
        digits = task.solve(task.read(" ".join(words(number))))
        assert task.write(digits[:-1]) == " ".join(str(number))


def test_digits_are_uniform_and_slices_count_them():
    task = Numbers(digits=3)
    batch = task.batch(6000, generator())
    counts = (batch.target_BT >= len(SPECIAL)).sum(1)
    assert torch.equal(counts, batch.slices["length"][:, 0])
    assert min(torch.bincount(counts)[1:].tolist()) > 1850
    ones = batch.target_BT[counts == 1, 0] - len(SPECIAL)
    assert min(torch.bincount(ones).tolist()) > 140 and len(torch.bincount(ones)) == 10


def test_lengths_of_all_numbers():
    sizes = []
    for digits in (1, 2, 3, 4):
        sizes.append([len(words(n)) + 1 for n in range(10 ** (digits - 1) if digits > 1 else 0, 10**digits)])
        task = Numbers(digits=digits)
        assert task.source_length == max(map(max, sizes)) and task.target_length == digits + 1
        assert task.mean_source == pytest.approx(sum(sum(own) / len(own) for own in sizes) / digits, rel=0.02)


def test_heuristic_is_what_it_scores():
    task = Numbers(digits=4)
    batch = task.batch(20_000, generator())
    scored = batch.target_BT != 0
    guess = torch.where(batch.target_BT == END, END, len(SPECIAL) + 7)
    assert float((guess == batch.target_BT)[scored].double().mean()) == pytest.approx(task.heuristic[1], abs=0.01)


def test_every_word_occurs():
    batch = Numbers().batch(5000, generator())
    assert {WORDS[token] for token in batch.source_BM.unique().tolist()} == set(WORDS) - {"<s>", "<unk>"}


def test_what_cannot_be_read():
    with pytest.raises(ValueError, match="^'million' is no word of a number here; write it as in: three hundred and"):
        Numbers().read("one million")
