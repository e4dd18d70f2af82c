"""Recurrent encoder-decoders against their papers' equations, one sentence, one step at a time."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from study.cost.counting import multiply_adds
from study.models.seq2seq.base import shifted
from study.models.seq2seq.recurrent import Bahdanau, Encoder, FixedVector, LastState, LuongGeneral, LuongLocal
from study.tokens import END, PAD, START
from tests.cases import close

CLASSES = [LastState, FixedVector, Bahdanau, LuongGeneral, LuongLocal]
each_class = pytest.mark.parametrize("kind", CLASSES)
each_cell = pytest.mark.parametrize("cell", ["gru", "lstm"])
TWO = [[("gru", 1), ("lstm", 2)], [("lstm", 1), ("gru", 2)]]  # cells and layers, so that each class has each of them
each_way = pytest.mark.parametrize(
    ("kind", "cell", "layers"), [(kind, *way) for i, kind in enumerate(CLASSES) for way in TWO[i % 2]]
)
SOURCE, TARGET = 9, 8  # vocabularies


def made(kind, cell="gru", layers=1, **own):
    """In double precision, with biases and all else far from 0."""
    torch.manual_seed(0)
    model = kind(SOURCE, TARGET, width=6, layers=layers, hidden=5, cell=cell, **own).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model


def pairs():
    """Sources and targets of unequal lengths."""
    source_BM = torch.tensor([[4, 5, 6, 7, END], [8, END, PAD, PAD, PAD], [5, 5, END, PAD, PAD]])
    target_BT = torch.tensor([[4, 7, END, PAD], [6, 5, 4, END], [END, PAD, PAD, PAD]])
    return source_BM, target_BT


def cells(recurrence, x, states):
    """One step of a stack of torch's cells with the same weights; x (I,), states one per layer."""
    after = []
    for weights, state in zip(recurrence.all_weights, states, strict=True):
        if isinstance(recurrence, nn.LSTM):
            state = torch.lstm_cell(x[None], [s[None] for s in state], *weights)
        else:
            state = [torch.gru_cell(x[None], state[0][None], *weights)]
        after.append([s[0] for s in state])
        x = after[-1][0]
    return after


def encoded(model, source):
    """States (M, E) of one source without padding, by torch's own bidirectional module."""
    x = model.source_embedding(torch.tensor(source))
    for ahead, back in zip(model.encoder.forwards, model.encoder.backwards, strict=True):
        x = torch.cat([ahead(x[None])[0][0], back(x.flip(0)[None])[0][0].flip(0)], -1)
    return x


def initial(model, vector):
    parts = torch.tanh(model.bridge.weight @ vector + model.bridge.bias).split(model.hidden)
    return [parts[layer :: model.layers] for layer in range(model.layers)]


def maxout(model, *parts):
    units = model.readout.units
    first, second = (units.weight @ torch.cat(parts) + units.bias).split(model.width)
    return torch.stack([first, second]).amax(0)


def by_hand(model, source, target):
    """Logits (T, V) and weights (T, M or nothing) by the equations in the docstrings."""
    states_ME, H = encoded(model, source), model.hidden
    rows, weights = [], []
    if isinstance(model, LastState):
        summary = model.summary
        c = torch.tanh(summary.weight @ torch.cat([states_ME[-1, :H], states_ME[0, H:]]) + summary.bias)
        state = initial(model, c)
    else:
        attention, state = model.attention, initial(model, states_ME[0, H:])
    fed = torch.zeros(model.width, dtype=torch.double)
    for token in [START, *target[:-1]]:
        y = model.target_embedding(torch.tensor(token))
        if isinstance(model, FixedVector):
            state = cells(model.decoder, torch.cat([y, c]), state)
            out = maxout(model, state[-1][0], y, c)
        elif isinstance(model, LastState):
            state = cells(model.decoder, y, state)
            out = maxout(model, state[-1][0], y)
        elif isinstance(model, Bahdanau):
            v, W, U = attention.energy.weight[0], attention.query.weight, attention.key.weight
            a_M = F.softmax(torch.stack([v @ torch.tanh(W @ state[-1][0] + U @ h) for h in states_ME]), 0)
            c = sum(a * h for a, h in zip(a_M, states_ME, strict=True))
            state = cells(model.decoder, torch.cat([y, c]), state)
            out = maxout(model, state[-1][0], y, c)
            weights.append(a_M)
        else:
            state = cells(model.decoder, torch.cat([y, fed]), state)
            h_t = state[-1][0]
            scores = [h_t @ attention.key.weight @ h for h in states_ME]
            if isinstance(model, LuongLocal):
                hidden = torch.tanh(attention.hidden.weight @ h_t)
                p = len(source) * torch.sigmoid(attention.position.weight[0] @ hidden)
                inside = [m for m in range(len(source)) if p - model.window <= m <= p + model.window]
                soft = F.softmax(torch.stack([scores[m] for m in inside]), 0)
                a_M = torch.zeros(len(source), dtype=torch.double)
                for m, a in zip(inside, soft, strict=True):
                    a_M[m] = a * torch.exp(-((m - p) ** 2) / (2 * (model.window / 2) ** 2))
            else:
                a_M = F.softmax(torch.stack(scores), 0)
            c = sum(a * h for a, h in zip(a_M, states_ME, strict=True))
            fed = out = torch.tanh(model.readout.weight @ torch.cat([c, h_t]))
            weights.append(a_M)
        rows.append(model.head.weight @ out + model.head.bias)
    return torch.stack(rows), torch.stack(weights) if weights else None


@each_way
def test_the_equations_with_copied_weights(kind, cell, layers):
    """Values and gradients; torch's cells stand for the decoder, and padding is left out rather than masked."""
    own = {"window": 2} if kind is LuongLocal else {}
    model = made(kind, cell, layers, **own)
    source_BM, target_BT = pairs()
    memory = model.encode(source_BM)
    decoded = model.decode(shifted(target_BT), memory)
    expected, ours = 0.0, 0.0
    for b, (source, target) in enumerate(zip(source_BM.tolist(), target_BT.tolist(), strict=True)):
        source, target = ([token for token in tokens if token != PAD] for tokens in (source, target))
        logits_TV, weights_TM = by_hand(model, source, target)
        T, M = len(target), len(source)
        close(decoded.logits_BTV[b, :T], logits_TV)
        mix_TV = torch.randn_like(logits_TV)
        expected, ours = expected + (mix_TV * logits_TV).sum(), ours + (mix_TV * decoded.logits_BTV[b, :T]).sum()
        if weights_TM is not None:
            close(decoded.weights_BTM[b, :T, :M], weights_TM)
            assert (decoded.weights_BTM[b, :, M:] == 0).all()
    parameters = dict(model.named_parameters())
    for name, *gradients in zip(
        parameters, *(torch.autograd.grad(each, list(parameters.values())) for each in (ours, expected)), strict=True
    ):
        close(*gradients)
        assert gradients[0].abs().sum() > 0, name


@each_cell
def test_the_encoder_is_torchs_bidirectional_module_on_packed_sequences(cell):
    torch.manual_seed(0)
    encoder = Encoder(cell, 6, 5, layers=2, dropout=0.0)
    theirs = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](6, 5, 2, batch_first=True, bidirectional=True)
    for layer, directions in enumerate(zip(encoder.forwards, encoder.backwards, strict=True)):
        for direction, suffix in zip(directions, ("", "_reverse"), strict=True):
            for name, parameter in direction.named_parameters():
                with torch.no_grad():
                    parameter.copy_(getattr(theirs, name.replace("l0", f"l{layer}") + suffix))
    lengths = torch.tensor([3, 7, 1])
    real_BM = torch.arange(7) < lengths[:, None]
    x_BMD = torch.randn(3, 7, 6, requires_grad=True)
    packed = pack_padded_sequence(x_BMD, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    actual = encoder(x_BMD, real_BM)
    close(actual[real_BM], expected[real_BM])
    mix = torch.randn_like(expected[real_BM])
    close(*(torch.autograd.grad((mix * y[real_BM]).sum(), x_BMD)[0] for y in (actual, expected)))


@each_way
def test_multiply_adds_by_hand(kind, cell, layers):
    """Every matrix once a token of its side, but what starts the decoder: once a pair; then the attention."""
    M, T, H, E = 5, 4, 5, 2 * 5
    model = made(kind, cell, layers)

    def matrices(*modules):
        return sum(p.numel() for module in modules for p in module.parameters() if p.ndim == 2)

    expected = M * matrices(model.encoder) + T * matrices(model.decoder, model.readout, model.head) + matrices(model.bridge)
    if kind in (LastState, FixedVector):
        expected += matrices(model.summary)
    else:
        asked = {Bahdanau: H**2, LuongGeneral: 0, LuongLocal: H**2 + H}[kind]
        expected += M * E * H + T * (M * (H + E) + asked)
    assert multiply_adds(model, *(tokens[:1] for tokens in pairs())) == expected


@each_cell
@each_class
def test_parameters_by_hand(kind, cell):
    D, H, gates, states = 6, 5, {"gru": 3, "lstm": 4}[cell], {"gru": 1, "lstm": 2}[cell]
    E = 2 * H

    def recurrence(inputs):
        return gates * H * (inputs + H + 2)

    encoder, bridge = 2 * recurrence(D) + 2 * recurrence(E), 2 * states * H * (H + 1)
    fed = {LastState: D, FixedVector: D + H, Bahdanau: D + E}.get(kind, 2 * D)
    own = {
        LastState: (E + 1) * H + (H + D + 1) * 2 * D,
        FixedVector: (E + 1) * H + (2 * H + D + 1) * 2 * D,
        Bahdanau: H * H + E * H + H + (H + D + E + 1) * 2 * D,
        LuongGeneral: E * H + (E + H) * D,
        LuongLocal: E * H + (E + H) * D + H * H + H,
    }[kind]
    counts = made(kind, cell, layers=2).parameter_counts()
    assert counts["other"] == encoder + bridge + recurrence(fed) + recurrence(H) + own
    assert counts["embedding"] == SOURCE * D + TARGET * D + TARGET * (D + 1)


def test_an_lstm_starts_with_a_forget_gate_of_bias_one_and_all_other_biases_at_zero():
    model = LastState(SOURCE, TARGET, width=6, layers=2, hidden=5, cell="lstm")
    for name, bias in model.named_parameters():
        if "bias_ih" in name:
            assert bias[5:10].eq(1).all() and bias.sum() == 5
        elif "bias" in name:
            assert bias.eq(0).all()


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="gru, lstm"):
        Bahdanau(SOURCE, TARGET, width=6, layers=1, hidden=5, cell="rnn")
    with pytest.raises(ValueError, match="window is 0"):
        LuongLocal(SOURCE, TARGET, width=6, layers=1, hidden=5, window=0)
    LuongLocal(SOURCE, TARGET, width=6, layers=1, hidden=5, window=1)  # holds at least one token


def reversals(size, low, high, generator):
    """Sources of low .. high tokens out of 8, each with its END, and the same backwards."""
    length_B1 = torch.randint(low, high + 1, (size, 1), generator=generator)
    at_M = torch.arange(high + 1)
    tokens_BM = torch.randint(4, 12, (size, high + 1), generator=generator)
    backwards_BM = tokens_BM.gather(1, (length_B1 - 1 - at_M).clamp(min=0))
    return tuple(
        each_BM.where(at_M < length_B1, PAD).masked_fill(at_M == length_B1, END) for each_BM in (tokens_BM, backwards_BM)
    )


def taught_to_reverse(kind, steps):
    """A model taught on lengths 1 to 10."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model = kind(12, 12, width=32, layers=1, hidden=48)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(steps):
        source_BM, target_BT = reversals(32, 1, 10, generator)
        loss = model.loss(source_BM, target_BT, target_BT.masked_fill(target_BT == PAD, -100))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        optimiser.step()
    return model.eval()


@torch.no_grad()
def reversal(model, length):
    """Share of right tokens at one length, and the mean weight on the token to write."""
    source_BM, target_BT = reversals(200, length, length, torch.Generator().manual_seed(2))
    right = (model(source_BM, target_BT).argmax(-1) == target_BT).float().mean().item()
    weights_BTM = model.align(source_BM, target_BT)
    if weights_BTM is None:
        return right, None
    return right, weights_BTM[:, torch.arange(length), torch.arange(length - 1, -1, -1)].mean().item()


@pytest.mark.slow
def test_attention_learns_to_reverse_and_aligns_where_a_fixed_vector_falls_behind():
    attending, fixed = taught_to_reverse(Bahdanau, 120), taught_to_reverse(FixedVector, 120)
    right, gold = reversal(attending, 6)
    assert right > 0.97 and gold > 0.35
    assert reversal(attending, 10)[0] > reversal(fixed, 10)[0] + 0.2
