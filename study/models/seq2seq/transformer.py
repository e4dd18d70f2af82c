"""The Transformer (Vaswani et al. 2017, section 3), pre-norm as all blocks of the study.

Shapes: B pairs, M source tokens, T target tokens, N either, D width, V target tokens to choose from, H heads, K head width.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from study.mixers.attention import Attention, Cache
from study.models.encoder import Block
from study.models.seq2seq.base import Decoded, EncoderDecoder, State, Step, real, shifted
from study.models.seq2seq.cross_attention import CrossAttention
from study.parts import choice
from study.positions.base import Position


class Memory(NamedTuple):
    keys_values: list[Cache]  # of the encoder's output, for the cross-attention of each decoder layer
    real_BM: Tensor


class DecoderBlock(Block):
    """A block with a third sublayer, cross-attention over the memory, between the mixer and the feed-forward net."""

    def __init__(self, mixer: Attention, cross: CrossAttention, ffn_width: int, dropout: float) -> None:
        super().__init__(mixer, ffn_width, dropout)
        self.cross, self.cross_norm = cross, nn.LayerNorm(mixer.width)

    def forward(  # type: ignore[override]
        self, x_BTD: Tensor, memory: Cache, real_BM: Tensor, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D); and the weights of the cross-attention (B, H, T, M), if they are asked for."""
        x_BTD = x_BTD + self.dropout(self.mixer(self.mixer_norm(x_BTD)))
        return self.read(x_BTD, memory, real_BM, need_weights)

    def read(self, x_BTD: Tensor, memory: Cache, real_BM: Tensor, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        """What follows the mixer: cross-attention and feed-forward net."""
        y_BTD, weights_BHTM = self.cross(self.cross_norm(x_BTD), memory, real_BM, need_weights)
        x_BTD = x_BTD + self.dropout(y_BTD)
        return x_BTD + self.dropout(self.feed_forward(self.ffn_norm(x_BTD))), weights_BHTM

    def step(self, x_BD: Tensor, memory: Cache, real_BM: Tensor, state: Any) -> tuple[Tensor, Any, Tensor | None]:
        """(output (B, D), next state of the mixer, weights (B, H, 1, M))."""
        y_BD, state = self.mixer.step(self.mixer_norm(x_BD), state)
        x_BD = x_BD + self.dropout(y_BD)
        x_B1D, weights_BH1M = self.read(x_BD[:, None], memory, real_BM, need_weights=True)
        return x_B1D[:, 0], state, weights_BH1M


class Transformer(EncoderDecoder):
    """Encoder of self-attention, decoder of causal self-attention and cross-attention; feed-forward nets in both.

    Args:
        layers: of the encoder, and of the decoder.
        hidden: width of the feed-forward nets.
        mixer: called with `causal` and the index of the layer, gives its self-attention.
        position: called with the length, gives the encoding of a side, added to its embedding or acting in its mixers.
        source_length, target_length: the longest in training.

    Raises ValueError where `mixer` gives anything but full attention.
    """

    name = "transformer"

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        *,
        layers: int,
        hidden: int,
        mixer: Callable[[bool, int], Attention],
        position: Callable[[int], Position],
        source_length: int,
        target_length: int,
        heads: int = 4,
        **given: Any,
    ) -> None:
        super().__init__(source_vocabulary, target_vocabulary, **given)
        width, dropout = self.width, self.dropout.p
        self.hidden = hidden
        self.source_position, self.target_position = position(source_length), position(target_length)
        self.longest_source, self.longest_target = self.source_position.longest, self.target_position.longest
        self.encoder = nn.ModuleList(Block(full(mixer(False, layer)), hidden, dropout) for layer in range(layers))
        self.decoder = nn.ModuleList(
            DecoderBlock(full(mixer(True, layer)), CrossAttention(width, heads=heads), hidden, dropout)
            for layer in range(layers)
        )
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        for mixers, encoding in ((self.mixers[:layers], self.source_position), (self.mixers[layers:], self.target_position)):
            for attention in mixers:  # last, so that all other weights start alike whatever the position
                attention.attach(encoding)
        self.tie_embeddings()

    @property
    def mixers(self) -> list[Attention]:
        """Of the encoder's layers, then of the decoder's."""
        return [block.mixer for block in [*self.encoder, *self.decoder]]  # type: ignore[misc]

    def embed_target(self, previous_BT: Tensor, start: int = 0) -> Tensor:
        return self.dropout(self.target_position(self.target_embedding(previous_BT), start))

    def encode(self, source_BM: Tensor) -> Memory:
        real_BM = real(source_BM)
        x_BMD = self.dropout(self.source_position(self.source_embedding(source_BM)))
        for block in self.encoder:
            x_BMD = block(x_BMD, real_BM)
        x_BMD = self.encoder_norm(x_BMD)
        return Memory([block.cross.project(x_BMD) for block in self.decoder], real_BM)  # type: ignore[operator, union-attr]

    def start(self, memory: Memory) -> State:
        weight = self.head.weight
        mixers = self.mixers[len(self.encoder) :]
        return State(0, [m.initial_state(len(memory.real_BM), weight.device, weight.dtype) for m in mixers])

    def step(self, previous_B: Tensor, memory: Memory, state: State) -> Step:
        x_BD = self.embed_target(previous_B[:, None], state.position)[:, 0]
        states, weights = [], []
        for block, keys_values, mixer_state in zip(self.decoder, memory.keys_values, state.mixers, strict=True):
            x_BD, mixer_state, weights_BH1M = block.step(x_BD, keys_values, memory.real_BM, mixer_state)  # type: ignore[operator]
            states.append(mixer_state)
            weights.append(weights_BH1M)
        logits_BV = self.head(self.decoder_norm(x_BD))
        return Step(logits_BV, State(state.position + 1, states), averaged(weights)[:, 0])

    def decode(self, previous_BT: Tensor, memory: Memory, need_weights: bool = True) -> Decoded:
        x_BTD, weights = self.embed_target(previous_BT), []
        for block, keys_values in zip(self.decoder, memory.keys_values, strict=True):
            x_BTD, weights_BHTM = block(x_BTD, keys_values, memory.real_BM, need_weights)
            weights.append(weights_BHTM)
        return Decoded(self.head(self.decoder_norm(x_BTD)), averaged(weights) if need_weights else None)

    def forward(self, source_BM: Tensor, target_BT: Tensor) -> Tensor:
        return self.decode(shifted(target_BT), self.encode(source_BM), need_weights=False).logits_BTV

    def tables(self) -> list[nn.Module]:
        inside = [mixer.inside for mixer in self.mixers if mixer.inside is not None]
        return [*super().tables(), self.source_position, self.target_position, *inside]


def full(mixer: Attention) -> Attention:
    if type(mixer) is not Attention:
        raise ValueError(f"a Transformer attends to all tokens, not by {choice(type(mixer))}; use mixer=attention")
    return mixer


def averaged(weights: list[Tensor]) -> Tensor:
    """(B, N, M), of the weights (B, H, N, M) of each layer."""
    return torch.stack([weights_BHNM.mean(1) for weights_BHNM in weights]).mean(0)
