"""Gold edges and cuts: against masks, and maps made by hand."""

import pytest
import torch
import torch.nn.functional as F

from study.mixers.attention import Attention
from study.probes import base, edges
from study.tasks.base import IGNORE
from study.tasks.brackets import Brackets
from study.tasks.copy_memory import CopyMemory
from study.tasks.reverse import Reverse
from study.training.runner import execute
from tests.cases import close


@pytest.mark.parametrize("causal", [True, False])
def test_a_cut_edge_has_no_weight_at_all_and_the_others_share_it(causal):
    torch.manual_seed(0)
    mixer, x_BND = Attention(12, causal=causal, heads=3), torch.randn(2, 5, 12)
    mask_BN = torch.tensor([[True] * 5, [True] * 4 + [False]])
    cut_BNN = torch.zeros(2, 5, 5, dtype=torch.bool)
    cut_BNN[0, 3, 1] = cut_BNN[1, 2, 2] = True
    weights_BHNN = mixer.maps(x_BND, mask_BN, cut_BNN=cut_BNN)
    assert (weights_BHNN[0, :, 3, 1] == 0).all() and (weights_BHNN[1, :, 2, 2] == 0).all()
    whole_BHNN = mixer.maps(x_BND, mask_BN).masked_fill(cut_BNN[:, None], 0)
    close(weights_BHNN, whole_BHNN / whole_BHNN.sum(-1, keepdim=True))


@pytest.mark.parametrize("position", ["sinusoidal", "relative", "rotary"])
def test_cutting_nothing_changes_nothing(module, position):
    held = module("reverse", f"position={position}")
    batch = held.draw(held.task, "test", 0, 4)
    whole = held.model(batch.tokens_BN, mask_BN=batch.mask_BN)
    with edges.cut(held.model, torch.zeros(4, 6, 6, dtype=torch.bool)):
        close(held.model(batch.tokens_BN, mask_BN=batch.mask_BN)[batch.mask_BN], whole[batch.mask_BN])


@pytest.mark.parametrize("task", ["reverse", "agreement"])
def test_a_cut_model_is_the_model_under_a_mask(module, task, monkeypatch):
    """Against torch's own attention with the edges masked, in every layer."""
    held = module(task)
    batch = held.draw(held.task, "test", 0, 8)
    real_BN, allowed = base.real(batch), held.model.mixers[0].allowed
    one, gold_BNN, _ = edges.one_edge(batch, real_BN, allowed, torch.Generator().manual_seed(0))
    whole = held.model(one.tokens_BN, one.where_BT, one.mask_BN)
    with edges.cut(held.model, gold_BNN):
        without = held.model(one.tokens_BN, one.where_BT, one.mask_BN)
    assert (held.model(one.tokens_BN, one.where_BT, one.mask_BN) == whole).all(), "the cut ends with its context"

    seen = real_BN[:, None] & ~gold_BNN
    if held.task.causal:
        seen = seen & allowed(seen.shape[1], seen.device)
    masked = lambda self, q, k, v, mask: F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None])  # noqa: E731
    monkeypatch.setattr(Attention, "attend", masked)
    expected = held.model(one.tokens_BN, one.where_BT, one.mask_BN)
    close(without, expected)
    assert not torch.allclose(expected, whole, atol=1e-4)


@pytest.mark.parametrize("task", [Brackets(length=9), Reverse(min_length=2, max_length=6), CopyMemory(length=9, items=2)])
def test_one_edge_is_a_gold_one_and_the_other_one_is_not(task):
    batch = task.batch(400, torch.Generator().manual_seed(0))
    allowed = Attention(4, causal=task.causal).allowed
    real_BN = base.real(batch)
    one, gold_BNN, random_BNN = edges.one_edge(batch, real_BN, allowed, torch.Generator().manual_seed(1))
    sequence_E, query_E, key_E = (found.tolist() for found in edges.gold_edges(batch))
    gold = set(zip(sequence_E, query_E, key_E, strict=True))
    assert len(gold) == int((batch.targets_BT != IGNORE).sum())
    assert len(one.tokens_BN) == 400 and (one.targets_BT != IGNORE).all()
    chosen = [tuple(place) for place in gold_BNN.nonzero().tolist()]
    others = [tuple(place) for place in random_BNN.nonzero().tolist()]
    assert set(chosen) <= gold and len(chosen) == len(others) == 400
    for (b, query, key), (other_b, other_query, other_key) in zip(chosen, others, strict=True):
        assert (b, query) == (other_b, other_query) and key != other_key and real_BN[b, other_key]
        assert other_key <= query or not task.causal
        assert one.where_BT[b].item() == query
        assert task.solve(one.tokens_BN[b].tolist())[query] == one.targets_BT[b].item()
    assert len(set(chosen) | set(others)) == 800


def test_the_head_that_finds_the_gold_edges_is_found(module, monkeypatch):
    held = module("brackets", "task.length=8")

    def maps(tokens_BN, mask_BN=None):
        made = torch.full((2, len(tokens_BN), 2, 8, 8), 1 / 8)
        for b, tokens in enumerate(tokens_BN.tolist()):
            still_open = []
            for i, token in enumerate(tokens):
                if token < 8:
                    still_open.append(i)
                else:
                    made[1, b, 0, i] = torch.eye(8)[still_open.pop()]
        return list(made)

    monkeypatch.setattr(held.model, "maps", maps)
    found = edges.examine(held)
    assert (found["head"], found["gold"]) == ([1, 0], 1.0)
    assert found["offset"] == -1 and found["gold_offset"] == pytest.approx(held.task.heuristic[1] * 8 / 7 - 1 / 7, abs=0.03)
    example, batch = found["example"], held.draw(held.task, "test", 0, 1)
    assert example["tokens"] == batch.tokens_BN[0].tolist()
    assert all(example["map"][query][key] == 100 for query, key in example["edges"]) and example["edges"]


def test_a_constant_distance_is_all_there_is_where_the_task_has_one(module):
    found = edges.examine(module("copy_memory", "task.length=8", "task.items=4"))
    assert (found["offset"], found["gold_offset"]) == (-4, 1.0)
    assert found["edges"] == 4 * found["sequences"] == 4 * 1024


def test_it_stands_in_the_record_when_asked_for(tiny, monkeypatch):
    monkeypatch.setattr(base, "SEQUENCES", {"validation": 128, "test": 128})
    asked = execute(tiny("evaluation.structure=true", task="reverse")).record
    plain = execute(tiny(task="reverse")).record
    assert asked["structure"]["sequences"] == 128 and 0 <= asked["structure"]["gold"] <= 1
    assert "structure" not in plain and asked["weights_sha256"] == plain["weights_sha256"]
    assert asked["metrics"] == plain["metrics"]
    assert "structure" not in execute(tiny("evaluation.structure=true", "origin.role=tuning", "seed=1", task="reverse")).record
