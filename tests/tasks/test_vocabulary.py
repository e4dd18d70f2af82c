"""Vocabularies: what they are learned on, and that they lose nothing."""

import pytest

from study.tasks.vocabulary import LONGEST_WORD, Pair, Subwords, Vocabulary, Words, _thinned
from study.tokens import END, SPECIAL, UNKNOWN

ENGLISH = ["Two men stand at the stove, cooking.", "A man's hat; two hats!", "the lowest low - lower than low"] * 20
GERMAN = ["Zwei Männer stehen am Herd.", "Ein Hut, zwei Hüte!", "Die Straße ist groß"] * 20


def pairs():
    return iter([Pair(source, target, (target,)) for source, target in zip(GERMAN, ENGLISH, strict=True)])


@pytest.fixture(scope="module", params=[True, False], ids=["joint", "separate"])
def subwords(request):
    return Subwords(size=150, joint=request.param, lowercase=False).learn(pairs)


@pytest.fixture(scope="module")
def words():
    return Words().learn(pairs)


def test_special_tokens_come_first_in_their_order(subwords, words):
    for vocabulary in (*subwords, *words):
        assert vocabulary.names(list(range(4))) == list(SPECIAL)


def test_subwords_spell_their_text(subwords):
    for vocabulary, lines in zip(subwords, (GERMAN, ENGLISH), strict=True):
        for line, tokens in zip(lines, vocabulary.encode(lines), strict=True):
            assert vocabulary.decode(tokens) == line
            assert max(tokens) < vocabulary.size and UNKNOWN not in tokens
            assert "".join(vocabulary.names(tokens)).replace("▁", " ").strip() == line
        assert any(len(name.strip("▁")) > 2 for name in vocabulary.names(vocabulary.encode(lines[:1])[0])), "they are merged"


def test_of_much_text_evenly_spread_lines_are_enough(monkeypatch):
    texts = [f"word{number}" for number in range(1000)]

    def many():
        return iter([Pair(text, text.upper(), (text,)) for text in texts])

    enough = sum(map(len, texts)) // 10
    monkeypatch.setattr("study.tasks.vocabulary.ENOUGH", enough)
    learned_on = list(_thinned(lambda: iter(texts)))
    assert learned_on == texts[::11] or learned_on == texts[::10]
    assert sum(map(len, learned_on)) <= enough * 1.1
    source, target = Subwords(size=100, joint=False, lowercase=False).learn(many)
    assert UNKNOWN not in source.encode(["word0"])[0] and UNKNOWN not in target.encode(["WORD0"])[0]


@pytest.mark.slow
def test_a_long_word_is_learned_in_pieces_and_spelt_whole():
    """Learning takes a time that grows with the square of the longest piece: a megabyte in one piece never ends."""
    word = "abcdefghij" * 100_000
    (vocabulary, _) = Subwords(size=150, joint=True, lowercase=False).learn(lambda: iter([*pairs(), Pair(word, word, (word,))]))
    pieces = vocabulary.tokenizer.pre_tokenizer.pre_tokenize_str(word)
    assert max(len(piece) for piece, _ in pieces) == LONGEST_WORD
    assert vocabulary.decode(vocabulary.encode([word])[0]) == word
    whole = "x" * (LONGEST_WORD - 1)  # with the mark of its start
    assert len(vocabulary.tokenizer.pre_tokenizer.pre_tokenize_str(whole)) == 1


def test_joint_means_one(subwords):
    source, target = subwords
    assert (source is target) == (source.encode(ENGLISH) == target.encode(ENGLISH))


def test_no_token_runs_across_words_or_punctuation(subwords):
    for vocabulary in subwords:
        for name in vocabulary.names(list(range(4, vocabulary.size))):
            assert "▁" not in name[1:]
            assert name.strip("▁").isalnum() or len(name.strip("▁")) <= 1, name


def test_size_is_a_bound_and_what_there_is_is_used():
    small, _ = Subwords(size=60, joint=True, lowercase=False).learn(pairs)
    large, _ = Subwords(size=10_000, joint=True, lowercase=False).learn(pairs)
    assert small.size == 60 < large.size < 400


def test_rare_characters_give_way_in_a_small_vocabulary():
    def many():
        return iter([Pair(chr(0x4E00 + number) + "aaab", "aaab", ("aaab",)) for number in range(500)])

    vocabulary, _ = Subwords(size=40, joint=True, lowercase=False).learn(many)
    assert vocabulary.size == 40
    assert vocabulary.encode(["aaab"])[0] and UNKNOWN not in vocabulary.encode(["aaab"])[0]


def test_stray_white_space_is_one_space(subwords):
    vocabulary = subwords[1]
    assert vocabulary.encode(["  two \t men\u00a0stand "]) == vocabulary.encode(["two men stand"])


def test_a_letter_is_one_whether_composed_or_not(subwords):
    assert subwords[0].encode(["Ma\u0308nner"]) == subwords[0].encode(["Männer"])


def test_lowercase():
    vocabulary, _ = Subwords(size=150, joint=True, lowercase=True).learn(pairs)
    assert vocabulary.encode(["ZWEI Männer"]) == vocabulary.encode(["zwei männer"])
    assert vocabulary.decode(vocabulary.encode(["ZWEI Männer"])[0]) == "zwei männer"


def test_what_training_lacks_is_unknown(subwords, words):
    assert UNKNOWN in subwords[0].encode(["Zwei 漢"])[0]
    assert words[1].encode(["Two giraffes stand"])[0].count(UNKNOWN) == 1
    assert words[1].decode(words[1].encode(["Two giraffes stand"])[0]) == "Two <unk> stand"


@pytest.mark.parametrize("text", ["</s>", "a <pad> b", "<unk>"])
def test_text_that_spells_a_special_token_is_text(subwords, words, text):
    assert not {0, 1, END} & set(subwords[0].encode([text])[0])
    assert not {0, 1, END} & set(words[0].encode([text])[0])

    def spelt():
        return iter([Pair(text, text, (text,))])

    for vocabulary in (*Subwords(size=50, joint=False, lowercase=False).learn(spelt), *Words().learn(spelt)):
        assert not {0, 1, END} & set(vocabulary.encode([text])[0])


def test_special_tokens_are_not_written(words, subwords):
    for vocabulary in (words[1], subwords[1]):
        tokens = vocabulary.encode(["Two men stand"])[0]
        assert vocabulary.decode([1, *tokens, END, 0, 0]) == "Two men stand"


def test_words_are_all_words_of_a_side(words):
    known = words[1].names(list(range(4, words[1].size)))
    assert known == sorted({word for line in ENGLISH for word in line.split()})
    assert words[1].decode(words[1].encode(ENGLISH[:1])[0]) == ENGLISH[0]


def test_saved_and_loaded_it_is_the_same(subwords, words, tmp_path):
    for vocabulary in (*subwords, *words):
        vocabulary.save(tmp_path / "vocabulary")
        again = Vocabulary.load(tmp_path / "vocabulary")
        lines = [*GERMAN[:3], *ENGLISH[:3], "<s> 漢"]
        assert again.size == vocabulary.size and again.encode(lines) == vocabulary.encode(lines)
        assert again.decode(again.encode(ENGLISH[:1])[0]) == vocabulary.decode(vocabulary.encode(ENGLISH[:1])[0])


def test_merges_are_the_most_frequent_pairs():
    """Of "low" and its kin: l-o meets most, then lo-w."""

    def low():
        return iter([Pair("low low lowest lot", "x", ("x",))] * 10)

    vocabulary, _ = Subwords(size=4 + 7 + 3, joint=False, lowercase=False).learn(low)
    assert set(vocabulary.names(list(range(4, 14)))) == {"▁", *"lowest", "lo", "▁lo", "▁low"} or set(
        vocabulary.names(list(range(4, 14)))
    ) == {"▁", *"lowest", "▁l", "▁lo", "▁low"}
