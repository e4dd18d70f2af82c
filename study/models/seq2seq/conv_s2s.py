"""Convolutional sequence to sequence learning (Gehring et al. 2017, section 3).

Shapes: B pairs, M source tokens, T target tokens, N either, D width of the embeddings, C channels, k kernel,
V target tokens to choose from.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from study.attention.dot_product import masked_softmax
from study.mixers.base import Mixer, linear
from study.mixers.convolution import Convolution
from study.models.seq2seq.base import Decoded, EncoderDecoder, State, Step, real
from study.positions.base import Position

HALF = math.sqrt(0.5)  # keeps the variance of a sum of two (section 3.5)


class Memory(NamedTuple):
    keys_BMD: Tensor  # z: the encoder's output
    values_BMD: Tensor  # z and the source's embedding, summed
    real_BM: Tensor


class ConvEncoder(nn.Module):
    """Gated convolutions between two linear maps, (B, N, D) -> (B, N, D); padding is zero to each of them."""

    def __init__(self, width: int, *, layers: int, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.into, self.out = linear(width, hidden), linear(hidden, width)
        self.convolutions = nn.ModuleList(
            Convolution(hidden, causal=False, kernel=kernel, layer=layer) for layer in range(layers)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BMD: Tensor, real_BM: Tensor) -> Tensor:
        x_BMC = self.into(x_BMD)
        for convolution in self.convolutions:
            x_BMC = (x_BMC + convolution(self.dropout(x_BMC), real_BM)) * HALF
        return self.out(x_BMC)


class ConvDecoderBlock(nn.Module):
    """A causal gated convolution, then attention over the memory by a query that knows the token before (equation 1)."""

    def __init__(self, width: int, *, hidden: int, kernel: int, dropout: float, layer: int) -> None:
        super().__init__()
        self.convolution = Convolution(hidden, causal=True, kernel=kernel, layer=layer)
        self.query, self.out = linear(hidden, width), linear(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BTC: Tensor, embedded_BTD: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """(B, T, C), and the weights (B, T, M)."""
        return self.read(x_BTC, self.convolution(self.dropout(x_BTC)), embedded_BTD, memory)

    def step(self, x_BC: Tensor, embedded_B1D: Tensor, memory: Memory, state: Any) -> tuple[Tensor, Any, Tensor]:
        """(output (B, C), next state of the convolution, weights (B, 1, M))."""
        h_BC, state = self.convolution.step(self.dropout(x_BC), state)
        x_B1C, weights_B1M = self.read(x_BC[:, None], h_BC[:, None], embedded_B1D, memory)
        return x_B1C[:, 0], state, weights_B1M

    def read(self, x_BTC: Tensor, h_BTC: Tensor, embedded_BTD: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        query_BTD = (self.query(h_BTC) + embedded_BTD) * HALF
        dtype = torch.promote_types(query_BTD.dtype, torch.float32)
        with torch.autocast(query_BTD.device.type, enabled=False):
            scores_BTM = query_BTD.to(dtype) @ memory.keys_BMD.to(dtype).mT
        weights_BTM = masked_softmax(scores_BTM[:, None], memory.real_BM)[:, 0]
        count_B11 = memory.real_BM.sum(1)[:, None, None]
        # a mean of m has 1 / m of their variance: m sqrt(1 / m) = sqrt(m) restores it (section 3.5)
        context_BTD = (weights_BTM.to(h_BTC.dtype) @ memory.values_BMD) * count_B11.to(h_BTC.dtype).sqrt()
        y_BTC = (h_BTC + self.out(context_BTD)) * HALF
        return (x_BTC + y_BTC) * HALF, weights_BTM


class ConvS2S(EncoderDecoder):
    """Encoder and decoder of gated convolutions, with attention in each layer of the decoder.

    Unlike the paper's (section 3.5), weights start as all of the study's do, and are not reparametrised by their norms, which
    would cost a tenth of a training step.

    Args:
        layers: of the encoder, and of the decoder.
        hidden: channels C.
        position: called with the length, gives the encoding added to a side's embedding (the paper's are learned).
        source_length, target_length: the longest in training.
        kernel: tokens under a convolution, odd; a token of the decoder sees layers x (kernel - 1) before it.

    Raises ValueError on an even kernel, and on a position that acts inside attention.
    """

    name = "conv_s2s"

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        *,
        layers: int,
        hidden: int,
        position: Callable[[int], Position],
        source_length: int,
        target_length: int,
        kernel: int = 3,
        **given: Any,
    ) -> None:
        super().__init__(source_vocabulary, target_vocabulary, **given)
        width = self.width
        self.hidden, self.kernel, self.layers = hidden, kernel, layers
        self.source_position, self.target_position = position(source_length), position(target_length)
        self.longest_source, self.longest_target = self.source_position.longest, self.target_position.longest
        size: Any = {"hidden": hidden, "kernel": kernel, "dropout": self.dropout.p}
        self.encoder = ConvEncoder(width, layers=layers, **size)
        self.into, self.out = linear(width, hidden), linear(hidden, width)
        self.decoder = nn.ModuleList(ConvDecoderBlock(width, layer=layer, **size) for layer in range(layers))
        for block in self.decoder:
            block.convolution.attach(self.target_position)  # type: ignore[operator, union-attr]
        self.tie_embeddings()

    def encode(self, source_BM: Tensor) -> Memory:
        real_BM = real(source_BM)
        embedded_BMD = self.dropout(self.source_position(self.source_embedding(source_BM)))
        keys_BMD = ScaledGradient.apply(self.encoder(embedded_BMD, real_BM), 1 / self.layers)
        return Memory(keys_BMD, (keys_BMD + embedded_BMD) * HALF, real_BM)

    def embed_target(self, previous_BT: Tensor, start: int = 0) -> Tensor:
        return self.dropout(self.target_position(self.target_embedding(previous_BT), start))

    def start(self, memory: Memory) -> State:
        weight, batch = self.head.weight, len(memory.real_BM)
        convolutions: list[Mixer] = [block.convolution for block in self.decoder]  # type: ignore[misc]
        return State(0, [c.initial_state(batch, weight.device, weight.dtype) for c in convolutions])

    def step(self, previous_B: Tensor, memory: Memory, state: State) -> Step:
        embedded_B1D = self.embed_target(previous_B[:, None], state.position)
        x_BC, states, weights = self.into(embedded_B1D[:, 0]), [], []
        for block, buffer in zip(self.decoder, state.mixers, strict=True):
            x_BC, buffer, weights_B1M = block.step(x_BC, embedded_B1D, memory, buffer)  # type: ignore[operator]
            states.append(buffer)
            weights.append(weights_B1M[:, 0])
        return Step(self.classify(x_BC), State(state.position + 1, states), torch.stack(weights).mean(0))

    def decode(self, previous_BT: Tensor, memory: Memory) -> Decoded:
        embedded_BTD = self.embed_target(previous_BT)
        x_BTC, weights = self.into(embedded_BTD), []
        for block in self.decoder:
            x_BTC, weights_BTM = block(x_BTC, embedded_BTD, memory)
            weights.append(weights_BTM)
        return Decoded(self.classify(x_BTC), torch.stack(weights).mean(0))

    def classify(self, x: Tensor) -> Tensor:
        """Logits (..., V) of the last block's output, (..., C)."""
        return self.head(self.dropout(self.out(x)))

    def tables(self) -> list[nn.Module]:
        return [*super().tables(), self.source_position, self.target_position]


class ScaledGradient(torch.autograd.Function):
    """x, its gradient times `scale`: the encoder gets a gradient from each of the decoder's attentions (section 3.5)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient * ctx.scale, None
