"""What every encoder-decoder in conf/architecture must satisfy; a new yaml is tested without an edit here.

B pairs, M source tokens, T target tokens.
"""

import pytest
import torch
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from study import parts
from study.mixers.attention import Attention
from study.models.seq2seq.base import EncoderDecoder, shifted
from study.positions.base import InsidePosition
from study.tokens import END, PAD
from tests.cases import case, made, names, part

V, W, D, M, T = 14, 11, 16, 9, 8
LENGTHS = ((M, T), (4, 5), (1, 1))
ALL = [name for name in names("architecture") if parts.outline("architecture", name).kind == "pairs"]
ASKED = {name: parts.asked("architecture", name) for name in ALL}
NAME = pytest.mark.parametrize("name", ASKED)
PLACED = pytest.mark.parametrize("name", [name for name in ASKED if "position" in ASKED[name]])


def ways(name: str) -> list[dict]:
    """Each position that the architecture takes, and each cell; one layer and two."""
    if "position" not in ASKED[name]:
        return [{"cell": "gru", "layers": 1}, {"cell": "lstm", "layers": 2}, {"cell": "gru", "layers": 2}]
    inside = [each for each in names("position") if issubclass(parts.load("position", each), InsidePosition)]
    return [{"position": each} for each in names("position") if "mixer" in ASKED[name] or each not in inside]


def build(name: str, target_vocabulary: int = W, position: str = "learned", **keys) -> EncoderDecoder:
    """In double precision, its biases and norms away from their start."""
    sizes = {"width": D, "layers": 2, "hidden": 12, "source_length": M, "target_length": T}
    given = {
        "position": lambda length: part("position", position)(D, length=length),
        "mixer": lambda causal, layer: Attention(D, causal=causal, layer=layer),
    }
    given = {key: value for key, value in given.items() if key in ASKED[name]}
    model = made("architecture", name, V, target_vocabulary, **sizes | given | keys).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def pairs(lengths=LENGTHS):
    """Sources and targets of these lengths, END last, then PAD."""
    generator = torch.Generator().manual_seed(1)
    longest = [max(side) for side in zip(*lengths, strict=True)]
    sides = []
    for side, vocabulary in enumerate((V, W)):
        tokens = torch.randint(4, vocabulary, (len(lengths), longest[side]), generator=generator)
        for b, own in enumerate(lengths):
            tokens[b, own[side] - 1], tokens[b, own[side] :] = END, PAD
        sides.append(tokens)
    return sides


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-5)  # some positions are float32


@NAME
def test_steps_are_decoding_and_forward_is_decoding_without_weights(name):
    for way in ways(name):
        with case(way):
            model, (source_BM, target_BT) = build(name, **way), pairs()
            memory = model.encode(source_BM)
            decoded, state = model.decode(shifted(target_BT), memory), model.start(memory)
            close(model(source_BM, target_BT), decoded.logits_BTV)
            assert (decoded.weights_BTM is not None) == model.aligns
            if model.aligns:
                close(model.align(source_BM, target_BT), decoded.weights_BTM)
            for t, previous_B in enumerate(shifted(target_BT).unbind(1)):
                logits_BV, state, weights_BM = model.step(previous_B, memory, state)
                close(logits_BV, decoded.logits_BTV[:, t])
                close(weights_BM, decoded.weights_BTM[:, t] if model.aligns else None)


@NAME
def test_a_later_token_changes_no_earlier_logit(name):
    for way in ways(name):
        with case(way):
            model, (source_BM, target_BT) = build(name, **way), pairs()
            logits_BTV, t = model(source_BM, target_BT), 3
            target_BT[0, t] = target_BT[0, t] % (W - 4) + 4
            changed_BTV = model(source_BM, target_BT)
            assert torch.equal(changed_BTV[0, : t + 1], logits_BTV[0, : t + 1])
            assert (changed_BTV[0, t + 1] - logits_BTV[0, t + 1]).abs().max() > 1e-4


@NAME
def test_padding_changes_nothing_and_gets_no_weight(name):
    for way in ways(name):
        with case(way):
            model, (source_BM, target_BT) = build(name, **way), pairs()
            logits_BTV, weights_BTM = model(source_BM, target_BT), model.align(source_BM, target_BT)
            for b, (m, t) in enumerate(LENGTHS):
                alone = source_BM[b : b + 1, :m], target_BT[b : b + 1, :t]
                close(model(*alone)[0], logits_BTV[b, :t])
                if model.aligns:
                    close(model.align(*alone)[0], weights_BTM[b, :t, :m])
            if model.aligns:
                padding = (source_BM == PAD)[:, None].expand_as(weights_BTM)
                assert (weights_BTM[padding] == 0).all() and (weights_BTM >= 0).all()
                if name != "luong_local":  # whose Gaussian takes from the weights
                    close(weights_BTM.sum(-1), torch.ones(3, T, dtype=torch.float64))


@NAME
def test_buckets_give_the_gradient_of_one_batch(name):
    """Short pairs by themselves and long pairs by themselves, each padded to their own longest."""
    source_BM, target_BT = pairs(((9, 8), (8, 8), (2, 3), (3, 1)))
    buckets = [(source_BM[:2], target_BT[:2]), (source_BM[2:, :3], target_BT[2:, :3])]

    def gradients(model, *batches):
        losses = [
            F.cross_entropy(model(*batch).flatten(0, 1), batch[1].flatten(), ignore_index=PAD, reduction="sum")
            for batch in batches
        ]
        return torch.autograd.grad(sum(losses), list(model.parameters()))

    for way in ways(name):
        with case(way):
            model = build(name, **way)
            together, short = gradients(model, (source_BM, target_BT)), gradients(model, buckets[1])
            for one, other in zip(together, gradients(model, *buckets), strict=True):
                close(one, other)
            assert any((a - b).abs().max() > 1e-3 for a, b in zip(together, short, strict=True))


@NAME
def test_state_and_memory_can_be_repeated_and_reordered(name):
    """As a search does: rows of every tensor of the trees."""
    rows = torch.tensor([2, 0, 0, 1])

    def picked(tree):
        return tree_map(lambda leaf: leaf[rows] if isinstance(leaf, torch.Tensor) else leaf, tree)

    for way in ways(name):
        with case(way):
            model, (source_BM, target_BT) = build(name, **way), pairs()
            memory = model.encode(source_BM)
            state = model.start(memory)
            for t in range(3):
                state = model.step(target_BT[:, t], memory, state).state
            expected = model.step(target_BT[:, 3], memory, state)
            found = model.step(target_BT[rows, 3], picked(memory), picked(state))
            close(found.logits_BV, expected.logits_BV[rows])


@NAME
def test_what_is_tied_is_counted_once_and_used(name):
    for position in ("sinusoidal", "learned"):
        own = (M + T) * D if position == "learned" and "position" in ASKED[name] else 0
        others = set()
        for tie, numbers in {"none": 2 * V * D, "output": V * D, "three_way": 0}.items():
            with case(position, tie):
                model = build(name, V, position, tie=tie)
                counts = model.parameter_counts()
                assert counts["embedding"] == numbers + (D + 1) * V + own
                assert sum(counts.values()) == sum(p.numel() for p in model.parameters())
                model(*pairs()).sum().backward()
                others.add(counts["other"])
        assert len(others) == 1
    with pytest.raises(ValueError, match="one vocabulary .* 14 and 11 tokens; use model.tie=output"):
        build(name, tie="three_way")


@NAME
def test_dropout_acts_in_training_only(name):
    model, batch = build(name, dropout=0.5), pairs()
    assert not torch.equal(model(*batch), model(*batch))
    model.eval()
    assert torch.equal(model(*batch), model(*batch))


@PLACED
def test_a_table_of_positions_says_when_it_ends(name):
    model = build(name)
    with pytest.raises(ValueError, match="past the learned table of 9 positions"):
        model(torch.full((1, M + 1), END), torch.full((1, T), END))
    memory = model.encode(torch.full((1, M), END))
    with pytest.raises(ValueError, match="past the learned table of 8 positions"):
        model.decode(torch.full((1, T + 1), END), memory)


@pytest.mark.slow
@PLACED
def test_it_learns_to_reverse(name):
    """The recurrent ones: test_recurrent.py."""
    model = build(name, V, hidden=32).float()
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    def batch(size):
        tokens_BN = torch.randint(4, V, (size, 4), generator=generator)
        ends_B1 = torch.full((size, 1), END)
        return torch.cat([tokens_BN, ends_B1], 1), torch.cat([tokens_BN.flip(1), ends_B1], 1)

    for _ in range(150):
        source_BM, target_BT = batch(32)
        optimizer.zero_grad()
        model.loss(source_BM, target_BT, target_BT).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
    source_BM, target_BT = batch(200)
    assert (model(source_BM, target_BT).argmax(-1) == target_BT).float().mean() > 0.9
