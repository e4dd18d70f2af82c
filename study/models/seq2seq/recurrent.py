"""Recurrent encoder-decoders: a fixed vector, or an attention, between one encoder and one decoder.

So that arms differ only in what the decoder is told of the source, all have the same bidirectional encoder, and a decoder of
as many layers and hidden units; what goes into the head is as wide as the embeddings. Where the papers start the decoder
from one state, here each layer (and an LSTM's cell) has its own map of it.

Shapes: B pairs, M source tokens, T target tokens, D embedding width, H hidden, E = 2 H the encoder's states, L layers,
V target tokens.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from study.mixers.base import initialise_, linear
from study.mixers.recurrent import PortableLSTM, run
from study.models.seq2seq.alignment import Additive, Alignment, General, LocalPredictive, Source
from study.models.seq2seq.base import Decoded, EncoderDecoder, Step, real

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": PortableLSTM}
Hidden = tuple[Tensor, ...]  # (h,) of a GRU, (h, c) of an LSTM; each (B, L, H)


def recurrence(cell: str, inputs: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> nn.GRU | nn.LSTM:
    """torch's, with the study's start: matrices uniform on +-1/sqrt(fan-in), biases 0 but an LSTM's forget gate, 1."""
    if cell not in CELLS:
        raise ValueError(f"cell is {cell!r}; use one of {', '.join(CELLS)}")
    made = CELLS[cell](inputs, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            initialise_(parameter) if parameter.ndim == 2 else parameter.zero_()
            if cell == "lstm" and name.startswith("bias_ih"):  # torch orders the gates: input, forget, cell, output
                parameter[hidden : 2 * hidden] = 1
    return made


class Encoder(nn.Module):
    """Layers of two recurrences, one in each direction, that read what both wrote below."""

    def __init__(self, cell: str, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        inputs = [width] + [2 * hidden] * (layers - 1)
        self.forwards = nn.ModuleList(recurrence(cell, each, hidden) for each in inputs)
        self.backwards = nn.ModuleList(recurrence(cell, each, hidden) for each in inputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BMD: Tensor, real_BM: Tensor) -> Tensor:
        """(B, M, E), forwards then backwards; padding stands behind what is real, so only the way back must avoid it."""
        for layer, (ahead, back) in enumerate(zip(self.forwards, self.backwards, strict=True)):
            x_BMD = x_BMD if layer == 0 else self.dropout(x_BMD)
            back_BMH = run(back, x_BMD.flip(1), real_BM.flip(1)).flip(1)  # type: ignore[arg-type]
            x_BMD = torch.cat([ahead(x_BMD)[0], back_BMH], -1)
        return x_BMD


class Maxout(nn.Module):
    """The larger of each pair of linear units (Goodfellow et al. 2013), as output layer in Cho 2014 and Bahdanau 2015."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.units = linear(inputs, 2 * outputs)

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.maximum(*self.units(torch.cat(parts, -1)).chunk(2, -1))


class Recurrent(EncoderDecoder):
    """What all of them share; each makes a decoder, and a readout for it.

    Args:
        layers: L, of the encoder and of the decoder, >= 1.
        hidden: H, of the decoder and of each of the encoder's directions.
        source_length, target_length: any length will do.
    """

    decoder: nn.GRU | nn.LSTM
    readout: nn.Module

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        *,
        layers: int,
        hidden: int,
        cell: str = "gru",
        source_length: int | None = None,
        target_length: int | None = None,
        **given: Any,
    ) -> None:
        super().__init__(source_vocabulary, target_vocabulary, **given)
        self.layers, self.hidden, self.cell = layers, hidden, cell
        self.encoder = Encoder(cell, self.width, hidden, layers, self.dropout.p)
        self.bridge = linear(hidden, (2 if cell == "lstm" else 1) * layers * hidden)
        self.build()
        self.tie_embeddings()

    def build(self) -> None:
        """Make decoder, readout and what belongs to them."""
        raise NotImplementedError

    def decoder_reading(self, inputs: int) -> nn.GRU | nn.LSTM:
        return recurrence(self.cell, inputs, self.hidden, self.layers, self.dropout.p)

    def read(self, source_BM: Tensor) -> Tensor:
        """The encoder's states, (B, M, E)."""
        return self.encoder(self.dropout(self.source_embedding(source_BM)), real(source_BM))

    def starting(self, from_BH: Tensor) -> Hidden:
        """tanh(W from) for each layer, and for an LSTM's cell too."""
        return self.bridge(from_BH).tanh().unflatten(-1, (-1, self.layers, self.hidden)).unbind(1)

    def run(self, x_BTI: Tensor, hidden: Hidden) -> tuple[Tensor, Hidden]:
        """The decoder's top layer (B, T, H), and what it holds after it."""
        first = tuple(each_BLH.transpose(0, 1).contiguous() for each_BLH in hidden)
        if self.cell == "lstm":
            y_BTH, last = self.decoder(x_BTI, first)
        else:
            y_BTH, *last = self.decoder(x_BTI, first[0])
        return y_BTH, tuple(each_LBH.transpose(0, 1) for each_LBH in last)


class LastState(Recurrent):
    """The source as one vector that starts the decoder, and no more (Sutskever et al. 2014).

    c = tanh(V [forwards_M; backwards_1]), s_0 = tanh(W c), s_t = cell(y_{t-1}, s_{t-1}), and the output is maxout of
    (s_t, y_{t-1}).
    """

    name = "last_state"
    aligns = False

    def build(self) -> None:
        self.summary = linear(2 * self.hidden, self.hidden)
        self.decoder = self.decoder_reading(self.width)
        self.readout = Maxout(self.hidden + self.width, self.width)

    def encode(self, source_BM: Tensor) -> Tensor:
        """c, (B, H)."""
        ahead_BMH, back_BMH = self.read(source_BM).chunk(2, -1)
        last_B11 = real(source_BM).sum(1)[:, None, None] - 1
        last_BH = ahead_BMH.take_along_dim(last_B11, 1)[:, 0]
        return self.summary(torch.cat([last_BH, back_BMH[:, 0]], -1)).tanh()

    def start(self, memory: Tensor) -> Hidden:
        return self.starting(memory)

    def given(self, y_BTD: Tensor, c_BH: Tensor) -> Tensor:
        """What cell and output are given beside the hidden state."""
        return y_BTD

    def write(self, previous_BT: Tensor, c_BH: Tensor, hidden: Hidden) -> tuple[Tensor, Hidden]:
        """Logits (B, T, V)."""
        x_BTI = self.given(self.dropout(self.target_embedding(previous_BT)), c_BH)
        y_BTH, hidden = self.run(x_BTI, hidden)
        return self.head(self.dropout(self.readout(y_BTH, x_BTI))), hidden

    def decode(self, previous_BT: Tensor, memory: Tensor) -> Decoded:
        return Decoded(self.write(previous_BT, memory, self.start(memory))[0], None)

    def step(self, previous_B: Tensor, memory: Tensor, state: Hidden) -> Step:
        logits_B1V, state = self.write(previous_B[:, None], memory, state)
        return Step(logits_B1V[:, 0], state, None)


class FixedVector(LastState):
    """The source as one vector that the decoder is given at every step (Cho et al. 2014, section 2.2 and appendix A).

    As LastState, but s_t = cell([y_{t-1}; c], s_{t-1}), and the output is maxout of (s_t, y_{t-1}, c).
    """

    name = "fixed_vector"

    def build(self) -> None:
        self.summary = linear(2 * self.hidden, self.hidden)
        self.decoder = self.decoder_reading(self.width + self.hidden)
        self.readout = Maxout(self.width + 2 * self.hidden, self.width)

    def given(self, y_BTD: Tensor, c_BH: Tensor) -> Tensor:
        return torch.cat([y_BTD, c_BH[:, None].expand(-1, y_BTD.shape[1], -1)], -1)


class Memory(NamedTuple):
    source: Source
    summary_BH: Tensor  # what starts the decoder


class Attending(Recurrent):
    """A decoder that attends to all states of the encoder at each step, and so runs step by step in training too.

    It starts from the backward encoder's state at the first token: s_0 = tanh(W back_1) (Bahdanau et al. 2015, appendix A.2.2).
    """

    attention: Alignment

    def encode(self, source_BM: Tensor) -> Memory:
        states_BME = self.read(source_BM)
        return Memory(self.attention.source(states_BME, real(source_BM)), states_BME[:, 0, self.hidden :])

    def advance(self, y_BD: Tensor, source: Source, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        """(what the head reads (B, D), next state, weights (B, M)) after the token embedded as y."""
        raise NotImplementedError

    def embed(self, previous: Tensor) -> Tensor:
        return self.dropout(self.target_embedding(previous))

    def step(self, previous_B: Tensor, memory: Memory, state: tuple[Tensor, ...]) -> Step:
        read_BD, state, weights_BM = self.advance(self.embed(previous_B), memory.source, state)
        return Step(self.head(self.dropout(read_BD)), state, weights_BM)

    def decode(self, previous_BT: Tensor, memory: Memory) -> Decoded:
        state, read, weights = self.start(memory), [], []
        for y_BD in self.embed(previous_BT).unbind(1):
            read_BD, state, weights_BM = self.advance(y_BD, memory.source, state)
            read.append(read_BD)
            weights.append(weights_BM)
        return Decoded(self.head(self.dropout(torch.stack(read, 1))), torch.stack(weights, 1))


class Bahdanau(Attending):
    """Additive attention from the decoder's state before the step (Bahdanau et al. 2015, sections 3.1, 3.2, appendix A).

    e_tm = v' tanh(W s_{t-1} + U h_m), a_t = softmax(e_t), c_t = sum_m a_tm h_m, s_t = cell([y_{t-1}; c_t], s_{t-1}), and the
    output is maxout of (s_t, y_{t-1}, c_t). With several layers, the query is the top one's state.
    """

    name = "bahdanau"

    def build(self) -> None:
        states = 2 * self.hidden
        self.attention = Additive(self.hidden, states)
        self.decoder = self.decoder_reading(self.width + states)
        self.readout = Maxout(self.hidden + self.width + states, self.width)

    def start(self, memory: Memory) -> Hidden:
        return self.starting(memory.summary_BH)

    def advance(self, y_BD, source, state):
        c_BE, weights_BM = self.attention(state[0][:, -1], source)
        x_BI = torch.cat([y_BD, c_BE], -1)
        s_B1H, state = self.run(x_BI[:, None], state)
        return self.readout(s_B1H[:, 0], x_BI), state, weights_BM


class LuongGeneral(Attending):
    """Global attention with the general score, and input feeding (Luong et al. 2015, sections 3, 3.1 and 3.3).

    h_t = cell([y_{t-1}; h~_{t-1}], h_{t-1}), a_t = softmax(h_t' W h_m), c_t = sum_m a_tm h_m, and h~_t = tanh(W_c [c_t; h_t])
    goes to the head and into the next step; h~_0 = 0. Here h~ is as wide as an embedding.
    """

    name = "luong_general"

    def build(self) -> None:
        self.attention = self.alignment()
        self.decoder = self.decoder_reading(2 * self.width)
        self.readout = linear(3 * self.hidden, self.width, bias=False)

    def alignment(self) -> Alignment:
        return General(self.hidden, 2 * self.hidden)

    def start(self, memory: Memory) -> tuple[Tensor, ...]:
        """h~, then the decoder's own."""
        return memory.summary_BH.new_zeros(len(memory.summary_BH), self.width), *self.starting(memory.summary_BH)

    def advance(self, y_BD, source, state):
        fed_BD, *hidden = state
        h_B1H, hidden = self.run(torch.cat([y_BD, fed_BD], -1)[:, None], hidden)
        c_BE, weights_BM = self.attention(h_B1H[:, 0], source)
        fed_BD = self.readout(torch.cat([c_BE, h_B1H[:, 0]], -1)).tanh()
        return fed_BD, (fed_BD, *hidden), weights_BM


class LuongLocal(LuongGeneral):
    """Attention in a window around a position that the decoder predicts, "local-p" (Luong et al. 2015, section 3.2)."""

    name = "luong_local"

    def __init__(self, source_vocabulary: int, target_vocabulary: int, *, window: int = 5, **given: Any) -> None:
        self.window = window  # first, as the attention is made with it
        super().__init__(source_vocabulary, target_vocabulary, **given)

    def alignment(self) -> Alignment:
        return LocalPredictive(self.hidden, 2 * self.hidden, window=self.window)
