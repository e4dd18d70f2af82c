"""Pairs on disk: what is kept, how it is drawn, and that an evaluation sees each pair once."""

import random
from collections import Counter

import numpy as np
import pytest
import torch

from study.tasks.corpus import FEWEST, Corpus, Split
from study.tasks.store import Store
from study.tasks.vocabulary import Pair, Words
from study.tokens import END, PAD, SPECIAL, UNKNOWN
from tests.tasks.conftest import generator


def pairs(count, seed, longest=40):
    """Sources of many lengths, each with a number of its own; targets of about their length."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        length = min(longest, 1 + int(rng.expovariate(1 / 8)))
        source = f"{seed}:{number} " + " ".join(rng.choice("abc") for _ in range(length))
        target = " ".join(rng.choice("xyz") for _ in range(max(1, length + rng.randint(-2, 2))))
        made.append(Pair(source, target, (target, f"{number}\u00e9")))
    return made


TEXTS = {"train": pairs(4000, 0), "validation": pairs(70, 1), "test": [*pairs(130, 2), Pair("d " * 90, "z " * 80, ("z",))]}


class Small(Corpus):
    decoded = ()

    def judge(self, outputs, batches):
        raise NotImplementedError


def corpus(cache, longest=64, texts=TEXTS, opened=None):
    def read(name):
        if opened is not None:
            opened.append(name)
        return iter(texts[name])

    splits = {
        name: Split(lambda name=name: read(name), (str(hash(tuple(texts[name]))),)) for name in ("train", "validation", "test")
    }
    return Small(splits=splits, vocabularies=Words(), longest=longest, cache=str(cache))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("cache"))


def texts(task, batch):
    for source, target in zip(batch.source_BM.tolist(), batch.target_BT.tolist(), strict=True):
        yield source, task.write(target[: target.index(END)])


def test_what_is_stored_is_what_was_read(small):
    for split, own in TEXTS.items():
        store = small.stores[split]
        assert len(store) == len(own)
        for number, pair in enumerate(own):
            target = store.target[number].tolist()
            assert target[-1] == END and small.write(target[:-1]) == pair.target.strip()
            assert len(store.source[number]) == len(pair.source.split()) + 1
            assert store.references[number].tobytes().decode().split("\n") == list(pair.references)


def test_tokens_stay_on_disk(small):
    store = small.stores["train"]
    for part in (store.source.values, store.source.starts, store.target.values, store.target.starts, store.order):
        assert isinstance(part, np.memmap)


def test_statistics_of_a_store_by_plain_loops(small):
    store = small.stores["train"]
    sizes = [(len(store.source[i]), len(store.target[i])) for i in range(len(store))]
    assert [max(sizes[i]) for i in store.order] == sorted(max(size) for size in sizes)
    assert sorted(store.order.tolist()) == list(range(len(store)))
    for length in range(len(store.pairs_L)):
        own = [size for size in sizes if max(size) == length]
        assert store.pairs_L[length] == len(own)
        assert store.sources_L[length] == sum(source for source, _ in own)
        assert store.targets_L[length] == sum(target for _, target in own)
        assert store.longest_L[length] == max((target for _, target in own), default=0)
    assert (store.longest_source, store.longest_target) == tuple(max(side) for side in zip(*sizes, strict=True))
    tokens = Counter(token for i in range(len(store)) for token in store.target[i].tolist())
    assert store.counts.tolist() == [tokens[token] for token in range(small.classes)]


def test_many_chunks_are_as_one(tmp_path):
    rows = [[[number, END] * (1 + number % 3) for number in range(50)] for _ in range(2)]
    names = [f"reference {number}" for number in range(50)]
    for chunk, name in ((50, "one"), (7, "many")):
        (tmp_path / name).mkdir()
        parts = [(*(side[at : at + chunk] for side in rows), names[at : at + chunk]) for at in range(0, 50, chunk)]
        Store.write(tmp_path / name, parts, 50)
    for file in (tmp_path / "one").iterdir():
        assert (tmp_path / "many" / file.name).read_bytes() == file.read_bytes(), file.name


def test_lengths_cover_all_splits_and_means_are_the_training_splits(small):
    assert (small.longest_source, small.longest_target) == (91, 81), "the longest pair is one of the test"
    assert small.source_length < 91 and small.target_length < 81, "training has none as long"
    sources = [len(pair.source.split()) + 1 for pair in TEXTS["train"]]
    targets = [len(pair.target.split()) + 1 for pair in TEXTS["train"]]
    assert small.mean_source == pytest.approx(sum(sources) / 4000)
    assert small.mean_target == pytest.approx(sum(targets) / 4000) and small.length == round(small.mean_target)


def test_buckets_hold_each_pair_once_and_are_narrow_where_pairs_are_many(small):
    store, buckets = small.stores["train"], small.buckets["train"]
    assert [bucket.start for bucket in buckets] == [0, *(bucket.stop for bucket in buckets[:-1])]
    assert buckets[-1].stop == len(store) and len(buckets) > 5
    for bucket in buckets:
        rows = [int(store.order[i]) for i in range(bucket.start, bucket.stop)]
        assert len(rows) >= FEWEST
        assert bucket.tokens == sum(len(store.target[row]) for row in rows)
        assert bucket.longest == max(len(store.target[row]) for row in rows)
        lengths = [max(len(store.source[row]), len(store.target[row])) for row in rows]
        within = [length for length in lengths if length <= lengths[0] * 9 / 8]
        assert bucket == buckets[-1] or len(rows) - len([n for n in lengths if n == lengths[-1]]) < max(FEWEST, len(within))


def test_a_batch_keeps_the_budget_of_tokens(small):
    budget = 64 * small.mean_target
    padded = [small.batch(64, generator(seed)).target_BT.numel() for seed in range(300)]
    assert max(padded) <= budget + small.longest_target / 2
    assert sum(padded) / 300 > 0.85 * budget
    real = [int((small.batch(64, generator(seed)).target_BT != PAD).sum()) for seed in range(300)]
    assert sum(real) > 0.75 * sum(padded), "little of it is padding, the few longest pairs aside"


def test_each_token_is_drawn_as_often_whatever_the_length_of_its_pair(small):
    """A bucketed batch has, in expectation, the gradient of an unbucketed one: no length counts for more or less."""
    expected, found = Counter(), Counter()
    for pair in TEXTS["train"]:
        expected[len(pair.target.split()) // 10] += len(pair.target.split()) + 1
    for seed in range(3000):
        target_BT = small.batch(8, generator(seed)).target_BT
        sizes = (target_BT != PAD).sum(1)
        for size in sizes.tolist():
            found[(size - 1) // 10] += size / int(sizes.sum())  # its share of a loss that is a mean over tokens
    for length, tokens in expected.items():
        assert found[length] / 3000 == pytest.approx(tokens / expected.total(), abs=0.03)


@pytest.mark.slow
def test_all_of_training_is_drawn_and_only_that(small):
    numbers = {source[0] for seed in range(600) for source, _ in texts(small, small.batch(256, generator(seed)))}
    assert len(numbers) > 0.98 * 4000 and UNKNOWN not in numbers, "a number of its own stands first"
    others = {source[0] for source, _ in texts(small, small.batch(64, generator(), "test"))}
    assert others == {UNKNOWN} | others - numbers, "no number of the test is in a vocabulary that training made"


def test_pairs_that_are_too_long_are_left_out_of_training_and_of_nothing_else(tmp_path, small):
    short = corpus(tmp_path, longest=12)
    kept = [pair for pair in TEXTS["train"] if max(len(pair.source.split()), len(pair.target.split())) < 12]
    assert short.provenance() == {"pairs": {"train": 4000, "validation": 70, "test": 131}, "left_out": 4000 - len(kept)}
    assert 0 < len(kept) < 4000 and small.left_out == 0
    for seed in range(100):
        batch = short.batch(32, generator(seed))
        assert max(batch.source_BM.shape[1], batch.target_BT.shape[1]) <= 12
    assert sum(len(short.evaluation_batch(i, 50, generator(), "test").target_BT) for i in range(3)) == 131
    assert short.longest_target == 81 and short.target_length <= short.longest
    assert short.mean_target == pytest.approx(sum(len(pair.target.split()) + 1 for pair in kept) / len(kept))
    with pytest.raises(ValueError, match="^longest is 2, and every training pair has more tokens; use more$"):
        corpus(tmp_path, longest=2)
    with pytest.raises(ValueError, match="^longest is 1; it must be at least 2$"):
        corpus(tmp_path, longest=1)


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("size", [1, 13, 1000])
def test_an_evaluation_sees_each_pair_once(small, split, size):
    """The test in order, validation by the length of the longer side."""
    pairs = TEXTS[split]
    if split == "validation":
        pairs = sorted(pairs, key=lambda pair: max(len(pair.source.split()), len(pair.target.split())))
    count = small.evaluation_batches(5, size, split)
    batches = [small.evaluation_batch(i, size, generator(), split) for i in range(count)]
    assert [text for batch in batches for _, text in texts(small, batch)] == [pair.target.strip() for pair in pairs]
    assert [tuple(one) for batch in batches for one in batch.references] == [pair.references for pair in pairs]


def test_an_evaluation_of_training_is_a_sample(small):
    assert small.evaluation_batches(1000, 50, "train") < 4000 / 50
    seen = [texts(small, small.evaluation_batch(0, 50, generator(seed), "train")) for seed in (0, 1)]
    assert seen[0] != seen[1]


def test_slices_are_target_lengths(small, power_bin):
    batch = small.batch(64, generator())
    for row, values in zip(batch.target_BT.tolist(), batch.slices["length"].tolist(), strict=True):
        assert set(values) == {power_bin(row.index(END) + 1)}


def test_unknown_split(small):
    for draw in (
        lambda: small.batch(2, generator(), "out"),
        lambda: small.evaluation_batches(2, 2, "out"),
        lambda: small.evaluation_batch(0, 2, generator(), "out"),
    ):
        with pytest.raises(ValueError, match="^unknown split 'out' of a corpus; use one of train, validation, test$"):
            draw()


def test_the_cache_is_used_and_follows_the_content(tmp_path):
    opened = []
    first = corpus(tmp_path, opened=opened)
    assert set(opened) == {"train", "validation", "test"}
    entries = set(tmp_path.iterdir())
    opened.clear()
    again = corpus(tmp_path, longest=20, opened=opened)
    assert opened == [] and set(tmp_path.iterdir()) == entries, "nothing is read again, whatever is left out"
    assert torch.equal(corpus(tmp_path).batch(9, generator()).target_BT, first.batch(9, generator()).target_BT)
    assert again.vocabulary == first.vocabulary

    other = corpus(tmp_path, opened=opened, texts=TEXTS | {"test": pairs(5, 3)})
    assert opened == ["test"], "only what has changed"
    assert len(other.stores["test"]) == 5
    opened.clear()
    corpus(tmp_path, opened=opened, texts=TEXTS | {"train": [*TEXTS["train"], Pair("new", "words", ("words",))]})
    assert set(opened) == {"train", "validation", "test"}, "all tokens hang on the training split's vocabulary"


def test_heuristic_by_hand(tmp_path):
    own = {
        "train": [Pair("a", "x x x", ("x",)), Pair("a", "y", ("y",))],
        "validation": [Pair("a", "y", ("y",))],
        "test": [Pair("a", "x x y q", ("x",))],
    }
    task = corpus(tmp_path, texts=own)
    assert task.heuristic[1] == 2 / 5, "of x x y q END"
    assert task.target_names(task.stores["test"].target[0].tolist()) == ["x", "x", "y", "<unk>", "</s>"]
    assert (task.vocabulary, task.classes) == (len(SPECIAL) + 1, len(SPECIAL) + 2)


def test_a_corpus_of_a_few_pairs_is_one_bucket(tmp_path):
    task = corpus(tmp_path, texts={name: own[:3] for name, own in TEXTS.items()})
    assert len(task.buckets["train"]) == 1
    assert task.batch(4, generator()).target_BT.shape[0] >= 1
