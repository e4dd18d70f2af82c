"""What every encoder-decoder offers: teacher forcing in parallel, and writing token by token with a state.

Shapes: B pairs, M source tokens, T target tokens, D embedding width, V target tokens to choose from.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.mixers.base import linear
from study.models.base import Architecture
from study.models.encoder import share_table
from study.tokens import PAD, START


class State(NamedTuple):
    """What a decoder of layers remembers: the next position, and the state of each layer's mixer."""

    position: int
    mixers: list[Any]


class Step(NamedTuple):
    logits_BV: Tensor
    state: Any
    weights_BM: Tensor | None  # attention over the source, averaged over heads and layers; None: there is none


class Decoded(NamedTuple):
    logits_BTV: Tensor
    weights_BTM: Tensor | None


class EncoderDecoder(Architecture):
    """source -> encoder -> memory; (memory, what was written so far) -> decoder -> the next token.

    Memory and state are trees of tensors whose axis 0 is the batch, so that a search can repeat and reorder them; what
    they hold beside tensors (a position, say) is the same for all rows. Positions of the source that are PAD change nothing,
    and their attention weights are exactly 0.

    Args:
        source_vocabulary, target_vocabulary: number of tokens, those of `study.tokens` included.
        width: D, of all embeddings, whatever the architecture's hidden width.
        dropout: in [0, 1).
        tie: none | output: the head's matrix is the target embedding (Press & Wolf 2017) | three_way: and the source embedding
            (needs one vocabulary for both).
        smoothing: label smoothing (Szegedy et al. 2016, section 7), in [0, 1).

    A subclass takes also, by keyword, layers, hidden (the width that is solved for when arms are matched), source_length and
    target_length (the longest in training); its other keywords are its configuration, and the rest, `**given`, goes here.
    Subclasses end `__init__` with `self.tie_embeddings()`, after all else has drawn its start.
    """

    kind = "pairs"
    aligns: bool = True  # whether its decoder attends to the source
    longest_source: int | None = None  # tokens that it has positions for; None: any number
    longest_target: int | None = None

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        *,
        width: int,
        dropout: float = 0.0,
        tie: str = "none",
        smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if tie == "three_way" and source_vocabulary != target_vocabulary:
            raise ValueError(
                f"model.tie=three_way needs one vocabulary for source and target, not {source_vocabulary} and "
                f"{target_vocabulary} tokens; use model.tie=output, or a task with a joint vocabulary"
            )
        self.width, self.tie, self.smoothing = width, tie, smoothing
        self.source_embedding = nn.Embedding(source_vocabulary, width)
        self.target_embedding = nn.Embedding(target_vocabulary, width)
        self.head = linear(width, target_vocabulary)
        self.dropout = nn.Dropout(dropout)

    def tie_embeddings(self) -> None:
        if self.tie in ("output", "three_way"):
            share_table(self.target_embedding, self.head)
        if self.tie == "three_way":
            self.source_embedding = self.target_embedding

    def encode(self, source_BM: Tensor) -> Any:
        """The memory: all that the decoder may know of the source."""
        raise NotImplementedError

    def start(self, memory: Any) -> Any:
        """The state before anything is written."""
        raise NotImplementedError

    def step(self, previous_B: Tensor, memory: Any, state: Any) -> Step:
        """One token further; equals `decode`, token by token."""
        raise NotImplementedError

    def decode(self, previous_BT: Tensor, memory: Any) -> Decoded:
        """All tokens at once, given those before them. Here, step by step; in parallel where the architecture can."""
        state, steps = self.start(memory), []
        for previous_B in previous_BT.unbind(1):
            steps.append(self.step(previous_B, memory, state))
            state = steps[-1].state
        weights = [step.weights_BM for step in steps]
        return Decoded(
            torch.stack([step.logits_BV for step in steps], 1),
            None if weights[0] is None else torch.stack(weights, 1),  # type: ignore[arg-type]
        )

    def forward(self, source_BM: Tensor, target_BT: Tensor) -> Tensor:
        """Logits (B, T, V) of each target token given the source and the target before it."""
        return self.decode(shifted(target_BT), self.encode(source_BM)).logits_BTV

    def loss(self, source_BM: Tensor, target_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """Mean cross-entropy with smoothed labels, in nats, over the targets that are not -100."""
        logits_BTV = self(source_BM, target_BT)
        return F.cross_entropy(
            logits_BTV.flatten(0, 1).float(), targets_BT.flatten(), ignore_index=-100, label_smoothing=self.smoothing
        )

    def align(self, source_BM: Tensor, target_BT: Tensor) -> Tensor | None:
        """Attention (B, T, M) over the source while the target is written; None where the decoder has none."""
        return self.decode(shifted(target_BT), self.encode(source_BM)).weights_BTM

    def tables(self) -> list[nn.Module]:
        return [self.source_embedding, self.target_embedding, self.head]


def shifted(target_BT: Tensor) -> Tensor:
    """What a decoder has before it at each target: START, then the target but its last token."""
    return F.pad(target_BT, (1, 0), value=START)[:, :-1]


def real(source_BM: Tensor) -> Tensor:
    """(B, M), True at real tokens."""
    return source_BM != PAD
