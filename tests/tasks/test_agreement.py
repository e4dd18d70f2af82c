import torch
from scipy.stats import chi2_contingency, chisquare

from study.tasks.agreement import Agreement
from study.tasks.base import IGNORE
from tests.tasks.conftest import generator


def test_solver_by_hand():
    # 2 nouns: singular 0-1, plural 2-3, preposition 4, verb 5, adverbs 6-7
    task = Agreement(length=8, most=2, nouns=2, adverbs=2)
    assert task.solve([4, 0, 6, 3, 7, 4, 1, 5]) == [IGNORE] * 7 + [1]
    assert task.solve([1, 6, 4, 2, 4, 3, 6, 5]) == [IGNORE] * 7 + [0]


def test_the_grammar(rows):
    task = Agreement(length=14, most=3, nouns=2, adverbs=1)
    batch = task.batch(2000, generator())
    before_seen = set()
    for (tokens, targets, slices), [source] in zip(rows(batch), batch.sources_BT.tolist(), strict=True):
        nouns = [i for i, token in enumerate(tokens) if token < 4]
        bare = [i for i in nouns if i == 0 or tokens[i - 1] != 4]
        assert bare == [source]
        assert [i - 1 for i in nouns if i != source] == [i for i, token in enumerate(tokens) if token == 4]
        assert tokens[-1] == 5 and tokens.count(5) == 1
        assert targets == {13: int(tokens[source] >= 2)}
        assert slices == {"distance": {13: 13 - source}, "attractors": {13: sum(i > source for i in nouns)}}
        before_seen.add(sum(i < source for i in nouns))
    assert before_seen == {0, 1, 2, 3}


def test_distance_attractors_and_numbers_are_uniform_and_independent():
    task = Agreement(length=16, most=3, nouns=2, adverbs=2)
    batch = task.batch(20_000, generator())
    distance, attractors = (batch.slices[name].flatten() for name in ("distance", "attractors"))
    table = torch.zeros(9, 4).index_put_((distance - 7, attractors), torch.ones(()), accumulate=True)
    for counts in (table.sum(0), table.sum(1), torch.bincount(batch.targets_BT.flatten()).float()):
        assert chisquare(counts.numpy()).pvalue > 1e-3
    assert chi2_contingency(table.numpy()).pvalue > 1e-3


def test_phrases_stand_anywhere():
    """Of one attractor between a subject and a verb 8 tokens apart, all 6 places are as likely."""
    task = Agreement(length=9, most=1, nouns=1, adverbs=1)
    batch = task.batch(20_000, generator())
    rows_BN = batch.tokens_BN[((batch.slices["distance"] == 8) & (batch.slices["attractors"] == 1)).flatten()]
    places = torch.bincount((rows_BN == task.preposition).int().argmax(1))
    assert len(places) == 7 and places[0] == 0
    assert chisquare(places[1:].numpy()).pvalue > 1e-3
