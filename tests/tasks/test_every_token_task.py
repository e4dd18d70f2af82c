"""What holds for every task on one sequence: found from conf/task, so that a new one is tested at once."""

import torch

from study.tasks.base import IGNORE


def draw(task, seed, size):
    return task.batch(size, torch.Generator().manual_seed(seed))


def test_shapes_types_and_ranges(task):
    batch = draw(task, 0, 32)
    B, T = batch.targets_BT.shape
    assert batch.tokens_BN.shape == (32, task.length) and B == 32
    long = [batch.tokens_BN, batch.targets_BT, batch.where_BT, batch.sources_BT, *batch.slices.values()]
    assert {value.dtype for value in long if value is not None} == {torch.long}
    assert 0 <= batch.tokens_BN.min() and batch.tokens_BN.max() < task.vocabulary
    scored = batch.targets_BT[batch.targets_BT != IGNORE]
    assert 0 <= scored.min() and scored.max() < task.classes
    if batch.where_BT is None:
        assert T == task.length
    else:
        assert batch.where_BT.shape == (B, T)
        assert 0 <= batch.where_BT.min() and batch.where_BT.max() < task.length
    assert batch.slices
    for values in batch.slices.values():
        assert values.shape == (B, T) and values.min() >= 0


def test_labels_equal_the_plain_solver(task, rows):
    for evaluated in task.evaluations().values():
        for tokens, targets, _ in rows(draw(evaluated, 1, 200)):
            answers = evaluated.solve(tokens)
            assert len(answers) == len(tokens)
            if task.metric == "bits_per_character":  # the last character's successor isn't in the tokens
                del targets[len(tokens) - 1]
            assert targets == {i: answer for i, answer in enumerate(answers) if answer != IGNORE}


def test_padding_is_on_the_right_and_never_scored(task, rows):
    batch = draw(task, 2, 100)
    if batch.mask_BN is None:
        return
    assert batch.mask_BN.shape == batch.tokens_BN.shape and batch.mask_BN.dtype == torch.bool
    for (_, targets, _), mask in zip(rows(batch), batch.mask_BN.tolist(), strict=True):
        assert mask == sorted(mask, reverse=True)
        assert all(mask[position] for position in targets)


def test_a_source_is_seen_and_holds_the_answer(task):
    """By the plain solver: with another token at the source, the answer is another."""
    batch = draw(task, 2, 20)
    if batch.sources_BT is None:
        return
    assert batch.sources_BT.shape == batch.targets_BT.shape
    for b, tokens in enumerate(batch.tokens_BN.tolist()):
        for t in (batch.targets_BT[b] != IGNORE).nonzero().flatten().tolist():
            place = t if batch.where_BT is None else int(batch.where_BT[b, t])
            source = int(batch.sources_BT[b, t])
            assert source <= place if task.causal else batch.mask_BN is None or batch.mask_BN[b, source]
            answers = set()
            for other in range(task.vocabulary):
                try:
                    answers.add(task.solve([*tokens[:source], other, *tokens[source + 1 :]])[place])
                except IndexError:  # a bracket too many: no sequence of the task
                    continue
            assert answers - {int(batch.targets_BT[b, t]), IGNORE}
