"""What holds for every task of pairs: found from conf/task, so that a new one is tested at once."""

import pytest
import torch

from study.tasks.base import IGNORE
from study.tasks.pairs import host
from study.tokens import END, PAD, SPECIAL, UNKNOWN


def draw(task, seed, split="train", size=32):
    return task.batch(size, torch.Generator().manual_seed(seed), split)


def rows(batch):
    """Source and target of each pair, END included, without padding."""
    for source, target in zip(batch.source_BM.tolist(), batch.target_BT.tolist(), strict=True):
        yield source[: source.index(END) + 1], target[: target.index(END) + 1]


def evaluation(task, split="test", size=100):
    generator = torch.Generator().manual_seed(0)
    return [task.evaluation_batch(i, size, generator, split) for i in range(task.evaluation_batches(500, size, split))]


def test_shapes_types_and_ranges(pair_task):
    for split in ("train", "validation", "test"):
        batch = draw(pair_task, 0, split)
        B, T = batch.target_BT.shape
        trained = split == "train"
        assert batch.source_BM.shape[0] == B
        assert batch.source_BM.shape[1] <= (pair_task.source_length if trained else pair_task.longest_source)
        assert T <= (pair_task.target_length if trained else pair_task.longest_target)
        for side, vocabulary in ((batch.source_BM, pair_task.vocabulary), (batch.target_BT, pair_task.classes)):
            assert side.dtype == torch.long and 0 <= side.min() and side.max() < vocabulary
            for row in side.tolist():
                end = row.index(END)
                assert end > 0, "something stands before END"
                assert set(row[end + 1 :]) <= {PAD} and not {PAD, END, SPECIAL.index("<s>")} & set(row[:end])
        assert batch.slices["length"].shape == (B, T) and batch.slices["length"].min() >= 1
        assert torch.equal(batch.targets_BT == IGNORE, batch.target_BT == PAD)


def test_means_are_those_of_what_is_drawn(pair_task):
    """Draws go by tokens: a mean over pairs is one over batches, each pair weighted by how seldom its length is drawn."""
    source = target = pairs = 0.0
    for seed in range(400):
        for own_source, own_target in rows(batch := draw(pair_task, seed)):
            weight = 1 / (batch.target_BT.shape[0] * batch.target_BT.shape[1])
            source, target, pairs = source + weight * len(own_source), target + weight * len(own_target), pairs + weight
    assert source / pairs == pytest.approx(pair_task.mean_source, rel=0.1)
    assert target / pairs == pytest.approx(pair_task.length, rel=0.15)


def test_targets_equal_the_plain_solver(pair_task):
    for source, target in rows(draw(pair_task, 1, size=200)):
        assert pair_task.solve(source) in (target, [])


def test_a_gold_source_holds_what_is_written(pair_task):
    batch = draw(pair_task, 2, size=100)
    if batch.sources_BT is None:
        return
    assert torch.equal(batch.sources_BT == IGNORE, batch.target_BT == PAD)
    for b, (source, target) in enumerate(rows(batch)):
        places = batch.sources_BT[b, : len(target)].tolist()
        assert sorted(places) == list(range(len(source))), "each source token is written once"
        assert [source[place] for place in places] == target


def test_the_host_generator_is_the_generator_itself_on_the_cpu():
    generator = torch.Generator()
    assert host(generator) is generator


PERFECT = {"exact": 1, "token_accuracy": 1, "word_error_rate": 0, "phoneme_error_rate": 0, "bleu": 100, "chrf": 100}
WORST = {"exact": 0, "token_accuracy": 0, "word_error_rate": 1, "phoneme_error_rate": 1, "bleu": 0, "chrf": 0}


def test_what_is_right_is_judged_perfect_and_silence_worst(pair_task):
    batches = evaluation(pair_task)
    right = [target[:-1] for batch in batches for _, target in rows(batch)]
    for outputs, expected in ((right, PERFECT), ([[] for _ in right], WORST)):
        scores, slices = pair_task.judge(outputs, batches)
        assert scores["items"] == len(right) == sum(row["items"] for row in slices["length"].values())
        assert set(pair_task.decoded) == set(scores) - {"items", "tokens", "statistics"}
        for row in (scores, *slices["length"].values()):
            for name in pair_task.decoded:
                # subwords lose white space that the reference has twice, and characters that training lacks
                assert row[name] == pytest.approx(expected[name], abs=0.5 if name in ("bleu", "chrf") else 0), name


def test_a_source_can_be_read_as_it_is_written_out(pair_task):
    for source, _ in rows(draw(pair_task, 7, "validation")):
        names = pair_task.source_names(source[:-1])
        assert UNKNOWN in source or pair_task.read(pair_task.separator.join(names).replace("▁", " ")) == source


def test_a_target_is_written_from_its_names(pair_task):
    for _, target in rows(draw(pair_task, 8)):
        names = pair_task.target_names(target[:-1])
        assert len(names) == len(target) - 1
        text = pair_task.write(target[:-1])
        assert text.replace(" ", "") == "".join(names).replace("▁", "")
        assert pair_task.write(target) == text or "</s>" in pair_task.write(target)


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_no_text_cannot_be_read(pair_task, text):
    with pytest.raises(ValueError):
        pair_task.read(text)


def test_text_that_is_too_long_cannot_be_read(pair_task):
    source, _ = next(rows(draw(pair_task, 9)))
    word = pair_task.source_names(source)[0]
    with pytest.raises(ValueError, match=r"\d+ ") as error:
        pair_task.read(pair_task.separator.join([word] * 1000).replace("▁", " "))
    assert "\n" not in str(error.value)
