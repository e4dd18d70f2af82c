"""How heads differ: against scipy, zeroed weights, and heads made by hand."""

import pytest
import torch
from scipy.spatial.distance import cityblock

from study.probes import heads
from study.tasks.base import IGNORE, Batch
from study.training.runner import execute
from tests.cases import close


@pytest.fixture
def module(module, monkeypatch):
    """The same, of which few sequences are looked at."""
    monkeypatch.setattr("study.probes.base.SEQUENCES", {"validation": 128, "test": 128})
    return module


def test_distances_are_half_of_scipys_sum_of_differences():
    rows_QHN = torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(0)).softmax(-1)
    rows_QHN[0, 0], rows_QHN[0, 1] = torch.eye(4)[0], torch.eye(4)[3]  # nothing in common
    found_HH = heads.distances(rows_QHN)
    for i in range(3):
        for j in range(3):
            expected = sum(cityblock(rows_QHN[q, i], rows_QHN[q, j]) / 2 for q in range(5))
            assert float(found_HH[i, j]) == pytest.approx(expected, abs=1e-5)
    assert heads.distances(rows_QHN[:1, :2]).flatten().tolist() == pytest.approx([0, 1, 1, 0])


def test_queries_are_used_where_a_later_layer_or_the_answer_reads_them():
    real_BN = torch.tensor([[True] * 4, [True, True, True, False]])
    targets_BT, where_BT = torch.tensor([[5, IGNORE], [1, 2]]), torch.tensor([[3, 0], [0, 2]])
    first_BN, last_BN = heads.used(Batch(torch.zeros(2, 4, dtype=torch.long), targets_BT, where_BT, real_BN), layers=2)
    assert first_BN.tolist() == real_BN.tolist()
    assert last_BN.tolist() == [[False, False, False, True], [True, False, True, False]]


def test_overlap_is_one_for_the_same_writing_and_zero_for_orthogonal_ones():
    out = torch.nn.Linear(6, 4, bias=False)
    with torch.no_grad():
        out.weight.zero_()
        out.weight[0, 0] = out.weight[1, 1] = 1.0  # the first head writes into the first two units,
        out.weight[0, 2] = out.weight[1, 3] = -3.0  # so does the second, louder,
        out.weight[2, 4] = out.weight[3, 5] = 1.0  # and the third into the others
    written = heads.Written(out, 3)
    y_Q2 = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    with written.watching(torch.ones(5, 100, dtype=torch.bool)):
        out(torch.cat([y_Q2, y_Q2 + 7, y_Q2], 1).view(5, 100, 6))
    out(torch.zeros(1, 1, 6))  # not watched any more
    close(written.cosines(), torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.float64))


def test_an_ablated_head_is_one_whose_part_of_the_output_projection_is_zero(module):
    held = module("brackets")
    tokens_BN = held.draw(held.task, "test", 0, 4).tokens_BN
    whole = held.model(tokens_BN)
    for layer, head in [(0, 1), (1, 0)]:
        mixer = held.model.mixers[layer]
        with heads.ablated(mixer, head):
            without = held.model(tokens_BN)
        kept = mixer.out.weight.detach().clone()
        with torch.no_grad():
            mixer.out.weight[:, head * 8 : (head + 1) * 8] = 0
        close(without, held.model(tokens_BN))
        with torch.no_grad():
            mixer.out.weight.copy_(kept)
        assert not torch.allclose(without, whole, atol=1e-4)
    assert (held.model(tokens_BN) == whole).all()


@pytest.mark.parametrize(("task", "overrides"), [("lookups", ["model.layers=1"]), ("reverse", ["task.min_length=2"])])
def test_heads_built_apart_and_copies_of_one_head_are_told_apart(module, task, overrides):
    """Real models, of which the one's maps have no token in common and the other's are the same."""
    found = heads.examine(module(task, *overrides))
    assert found["built_apart"] == pytest.approx(1.0) and found["built_overlap"] == pytest.approx(0.0)
    assert found["copies_apart"] == pytest.approx(0.0, abs=1e-6) and found["copies_overlap"] == pytest.approx(1.0)
    assert 0 < found["apart"] < 1 and 0 < found["overlap"] < 1


def test_a_copy_of_heads_leaves_the_model_as_it_is_and_gives_what_its_first_head_gives(module):
    held = module("brackets")
    before = {name: weight.clone() for name, weight in held.model.state_dict().items()}
    with torch.no_grad():
        made = heads.copies(held.model)
        heads.built(held.model)
    assert all((weight == before[name]).all() for name, weight in held.model.state_dict().items())
    batch = held.draw(held.task, "test", 0, 4)
    own, same = (model.maps(batch.tokens_BN)[0] for model in (held.model, made))
    close(same, own[:, :1].expand_as(own))


def test_the_loss_of_a_needed_head_shows(module, monkeypatch):
    """Accuracy is 1; without the first head of the second layer it is 0.97, without any other 0.99."""
    held = module("brackets")
    asked = iter([100, 99, 99, 97, 99])
    monkeypatch.setattr(heads, "right", lambda model, batch: next(asked))
    monkeypatch.setattr(
        heads, "batches", lambda subject, split: [Batch(torch.zeros(1, 100).long(), torch.zeros(1, 100).long())]
    )
    assert heads._needed(held) == 0.25


def test_one_head_has_no_other_to_differ_from(module):
    found = heads.examine(module("brackets", "mixer.heads=1", "task.length=6"))
    assert found["apart"] is found["overlap"] is found["built_apart"] is found["copies_overlap"] is None


def test_it_stands_in_the_record_when_asked_for(tiny, monkeypatch):
    monkeypatch.setattr("study.probes.base.SEQUENCES", {"validation": 128, "test": 128})
    asked, plain = (execute(tiny(*asking, task="reverse")).record for asking in (["evaluation.heads=true"], []))
    assert 0 <= asked["heads"]["apart"] <= 1 and "structure" not in asked
    assert "heads" not in plain and asked["weights_sha256"] == plain["weights_sha256"]
