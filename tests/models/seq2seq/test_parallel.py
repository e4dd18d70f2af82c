"""What the encoder-decoders that decode in parallel have in common: Transformer and ConvS2S."""

from pathlib import Path

import pytest
import torch
import yaml
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from study import parts
from study.cost.counting import multiply_adds
from study.mixers.attention import Attention
from study.models.seq2seq.base import shifted
from study.models.seq2seq.conv_s2s import ConvS2S
from study.models.seq2seq.transformer import Transformer
from study.positions.base import InsidePosition
from study.tokens import END, PAD

CONF = Path(__file__).parents[3] / "conf" / "position"
NODES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CONF.glob("*.yaml"))}
POSITIONS = {name: (parts.load("position", node.pop("name")), node) for name, node in NODES.items()}
ADDED = [name for name, (kind, _) in POSITIONS.items() if not issubclass(kind, InsidePosition)]
V, W, D, M, T = 14, 11, 16, 9, 8
PAIRS = [("transformer", name) for name in POSITIONS] + [("conv_s2s", name) for name in ADDED]
PAIR = pytest.mark.parametrize(("kind", "position"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
KIND = pytest.mark.parametrize(("kind", "position"), [("transformer", "sinusoidal"), ("conv_s2s", "learned")])


def build(kind, position, source_vocabulary=V, target_vocabulary=W, layers=2, hidden=12, **keys):
    torch.manual_seed(0)
    position_class, settings = POSITIONS[position]
    given = {
        "width": D,
        "layers": layers,
        "hidden": hidden,
        "source_length": M,
        "target_length": T,
        "position": lambda length: position_class(D, length=length, **settings),
    }
    if kind == "conv_s2s":
        return ConvS2S(source_vocabulary, target_vocabulary, **given | keys).double()
    mixer = {"mixer": lambda causal, layer: Attention(D, causal=causal, layer=layer)}
    return Transformer(source_vocabulary, target_vocabulary, **given | mixer | keys).double()


def pairs(lengths=((M, T), (4, 5), (1, 1))):
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


def summed_loss(model, source_BM, target_BT):
    logits_BTV = model(source_BM, target_BT)
    return F.cross_entropy(logits_BTV.flatten(0, 1), target_BT.flatten(), ignore_index=PAD, reduction="sum")


def gradients(model, loss):
    return torch.autograd.grad(loss, list(model.parameters()))


@PAIR
def test_step_by_step_is_decode(kind, position):
    model, (source_BM, target_BT) = build(kind, position), pairs()
    memory = model.encode(source_BM)
    decoded, state = model.decode(shifted(target_BT), memory), model.start(memory)
    for t, previous_B in enumerate(shifted(target_BT).unbind(1)):
        step = model.step(previous_B, memory, state)
        state = step.state
        torch.testing.assert_close(step.logits_BV, decoded.logits_BTV[:, t])
        torch.testing.assert_close(step.weights_BM, decoded.weights_BTM[:, t])


@PAIR
def test_forward_is_decode_without_weights(kind, position):
    model, (source_BM, target_BT) = build(kind, position), pairs()
    decoded = model.decode(shifted(target_BT), model.encode(source_BM))
    torch.testing.assert_close(model(source_BM, target_BT), decoded.logits_BTV)
    torch.testing.assert_close(model.align(source_BM, target_BT), decoded.weights_BTM)


@PAIR
def test_a_later_token_changes_no_earlier_logit(kind, position):
    model, (source_BM, target_BT) = build(kind, position), pairs()
    logits_BTV, t = model(source_BM, target_BT), 3
    target_BT[0, t] = target_BT[0, t] % (W - 4) + 4
    changed_BTV = model(source_BM, target_BT)
    torch.testing.assert_close(changed_BTV[0, : t + 1], logits_BTV[0, : t + 1], rtol=0, atol=0)
    assert (changed_BTV[0, t + 1] - logits_BTV[0, t + 1]).abs().max() > 1e-4


@PAIR
def test_padding_changes_nothing_and_gets_no_weight(kind, position):
    lengths = ((M, T), (4, 5), (1, 1))
    model, (source_BM, target_BT) = build(kind, position), pairs(lengths)
    logits_BTV, weights_BTM = model(source_BM, target_BT), model.align(source_BM, target_BT)
    assert (weights_BTM[(source_BM == PAD)[:, None].expand_as(weights_BTM)] == 0).all()
    torch.testing.assert_close(weights_BTM.sum(-1), torch.ones(3, T, dtype=torch.float64))
    for b, (m, t) in enumerate(lengths):
        alone = source_BM[b : b + 1, :m], target_BT[b : b + 1, :t]
        torch.testing.assert_close(model(*alone)[0], logits_BTV[b, :t])
        torch.testing.assert_close(model.align(*alone)[0], weights_BTM[b, :t, :m])


@PAIR
def test_buckets_give_the_gradient_of_one_batch(kind, position):
    """Short pairs by themselves and long pairs by themselves, each padded to their own longest."""
    lengths = ((9, 8), (8, 8), (2, 3), (3, 1))
    model, (source_BM, target_BT) = build(kind, position), pairs(lengths)
    together = gradients(model, summed_loss(model, source_BM, target_BT))
    buckets = [(source_BM[:2], target_BT[:2]), (source_BM[2:, :3], target_BT[2:, :3])]
    apart = gradients(model, sum(summed_loss(model, *bucket) for bucket in buckets))
    assert len(together) == len(list(model.parameters()))
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)  # some positions are float32
    short = gradients(model, summed_loss(model, *buckets[1]))
    assert any((a - b).abs().max() > 1e-3 for a, b in zip(together, short, strict=True))


@KIND
def test_state_and_memory_can_be_repeated_and_reordered(kind, position):
    """As a search does: rows of every tensor of the trees."""
    model, (source_BM, target_BT) = build(kind, position), pairs()
    memory = model.encode(source_BM)
    state = model.start(memory)
    for t in range(3):
        state = model.step(target_BT[:, t], memory, state).state
    rows = torch.tensor([2, 0, 0, 1])

    def picked(tree):
        return tree_map(lambda leaf: leaf[rows] if isinstance(leaf, torch.Tensor) else leaf, tree)

    expected = model.step(target_BT[:, 3], memory, state)
    found = model.step(target_BT[rows, 3], picked(memory), picked(state))
    torch.testing.assert_close(found.logits_BV, expected.logits_BV[rows])


@pytest.mark.parametrize("kind", ["transformer", "conv_s2s"])
@pytest.mark.parametrize("position", ["sinusoidal", "learned"])
def test_tables_are_counted_once_when_tied(kind, position):
    positions = (M + T) * D if position == "learned" else 0
    tables = {"none": 2 * V * D, "output": V * D, "three_way": 0}
    others = set()
    for tie, numbers in tables.items():
        model = build(kind, position, target_vocabulary=V, tie=tie)
        counts = model.parameter_counts()
        assert counts["embedding"] == numbers + (D + 1) * V + positions
        assert sum(counts.values()) == sum(p.numel() for p in model.parameters())
        model(*pairs()).sum().backward()
        others.add(counts["other"])
    assert len(others) == 1


@pytest.mark.parametrize(("position", "own"), [("relative", 2 * 2 * 2 * 33 * 4), ("bucket_bias", 2 * 32 * 4)])
def test_positions_inside_attention_count_as_embedding(position, own):
    """In two layers of each side, or one table a side."""
    plain, model = build("transformer", "none").parameter_counts(), build("transformer", position).parameter_counts()
    assert model == {"embedding": plain["embedding"] + own, "other": plain["other"]}


@KIND
def test_three_way_needs_one_vocabulary(kind, position):
    with pytest.raises(ValueError, match="14 and 11 tokens; use model.tie=output"):
        build(kind, position, tie="three_way")


@KIND
@pytest.mark.parametrize(("M", "T", "L", "H"), [(9, 8, 2, 12), (3, 7, 3, 5)])
def test_multiply_adds_by_hand(kind, position, M, T, L, H):
    """Also when the weights are asked for, which the fused kernel does not give."""
    model = build(kind, position, layers=L, hidden=H)
    tokens = torch.randint(4, V, (1, M)), torch.randint(4, W, (1, T))
    if kind == "transformer":
        own, feeding, crossing = (
            4 * (M + T) * D**2 + 2 * (M**2 + T**2) * D,
            2 * (M + T) * D * H,
            2 * (M + T) * D**2 + 2 * M * T * D,
        )
        expected = L * (own + feeding + crossing)
    else:
        attending = T * (2 * H * D + 2 * M * D)
        expected = (M + T) * (2 * D * H + L * 2 * 3 * H**2) + L * attending
    assert multiply_adds(model, *tokens) == multiply_adds(model.align, *tokens) == expected + T * D * W


def test_multiply_adds_of_relative_positions_are_counted():
    """What each table adds is on top of the same model without positions."""
    plain, model = build("transformer", "none"), build("transformer", "relative")
    rows = 2 * POSITIONS["relative"][1]["clip"] + 1
    added = multiply_adds(model, *pairs(((M, T),))) - multiply_adds(plain, *pairs(((M, T),)))
    assert added == 2 * (M + T) * 2 * D * rows  # layers, tokens, keys and values, each of D numbers a row


@KIND
def test_dropout_acts_in_training_only(kind, position):
    model, (source_BM, target_BT) = build(kind, position, dropout=0.5), pairs()
    assert not torch.equal(model(source_BM, target_BT), model(source_BM, target_BT))
    model.eval()
    assert torch.equal(model(source_BM, target_BT), model(source_BM, target_BT))


@KIND
def test_a_table_of_positions_says_when_it_ends(kind, position):
    model = build(kind, "learned")
    with pytest.raises(ValueError, match="past the learned table of 9 positions"):
        model(torch.full((1, M + 1), END), torch.full((1, T), END))
    memory = model.encode(torch.full((1, M), END))
    with pytest.raises(ValueError, match="past the learned table of 8 positions"):
        model.decode(torch.full((1, T + 1), END), memory)


@pytest.mark.slow
@KIND
def test_it_learns_to_reverse(kind, position):
    model = build(kind, position, target_vocabulary=V, hidden=32).float()
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
