"""The block template that every arm shares.

Shapes: B batch, N positions, T scored positions, D width, H heads, V classes.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from study.mixers.base import Mixer, linear
from study.models.arrangements import ARRANGEMENTS
from study.models.base import Architecture
from study.positions.base import Position
from study.readouts.base import Readout
from study.readouts.own import Own


class Block(nn.Module):
    """A mixer, then a feed-forward net of two linear maps around a ReLU; each with residual and norm as arranged."""

    def __init__(self, mixer: Mixer, ffn_width: int, dropout: float, arrangement: str = "pre_norm") -> None:
        super().__init__()
        self.mixer = mixer
        self.arrangement = ARRANGEMENTS[arrangement]
        norms = self.arrangement.norms
        self.mixer_norm = nn.LayerNorm(mixer.width) if norms else nn.Identity()
        self.ffn_norm = nn.LayerNorm(mixer.width) if norms else nn.Identity()
        self.ffn = nn.Sequential(linear(mixer.width, ffn_width), nn.ReLU(inplace=True), linear(ffn_width, mixer.width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        before, after = self.arrangement[:2]
        y_BND = self.dropout(self.mixer(before(x_BND, self.mixer_norm), mask_BN))
        x_BND = after(x_BND, y_BND, self.mixer_norm)
        y_BND = self.dropout(self.feed_forward(before(x_BND, self.ffn_norm)))
        return after(x_BND, y_BND, self.ffn_norm)

    def feed_forward(self, x_BND: Tensor) -> Tensor:
        """On rows (B N, D): there the ReLU in place costs nothing, while on (B, N, D) autograd copies for it."""
        return self.ffn(x_BND.flatten(0, -2)).view(x_BND.shape)

    def maps(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        """The mixer's attention weights (B, H, N, N) when the block is given x."""
        return self.mixer.maps(self.arrangement.before(x_BND, self.mixer_norm), mask_BN)


def share_table(embedding: nn.Embedding, head: nn.Linear) -> None:
    """One table for both (Press & Wolf 2017, section 3): the head's matrix, its rows at a norm of about 1.

    Nothing multiplies it on either side. A factor on the side of the embedding, as of sqrt(D) in Vaswani et al. 2017, section
    3.4, would also multiply what a step of Adam moves there, and so compare two learning rates beside two tables.
    """
    with torch.no_grad():
        head.weight.mul_(math.sqrt(3))  # from a variance of 1 / (3 D), and without a draw, so that all else starts alike
    embedding.weight = head.weight


class SequenceModel(Architecture):
    """embed (+ position) -> L blocks -> readout -> norm (where the arrangement needs one) -> head.

    Args:
        vocabulary, classes: number of input tokens and of outputs (V).
        mixer: called with the index of each layer, gives its mixer.
        position: the encoding, added to the token embedding or acting inside each mixer.
        readout: called with the width and `causal`, gives what reads the answers from the blocks' output.
        dropout: on the embedding and on each sublayer's output, in [0, 1).
        arrangement: of residual and norm around each sublayer; a key of ARRANGEMENTS.
        tie: none, or output: the head's matrix is the token embedding. ValueError unless vocabulary equals classes.
    """

    name = "encoder"
    kind = "tokens"

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        *,
        width: int,
        layers: int,
        ffn_width: int,
        causal: bool,
        mixer: Callable[[int], Mixer],
        position: Position,
        readout: Callable[..., Readout] = Own,
        dropout: float = 0.0,
        arrangement: str = "pre_norm",
        tie: str = "none",
    ) -> None:
        super().__init__()
        if tie == "output" and vocabulary != classes:
            raise ValueError(
                f"model.tie=output needs a task whose inputs are its outputs, not {vocabulary} tokens and {classes} classes; "
                "use model.tie=none, or a task such as shakespeare"
            )
        self.width, self.ffn_width, self.causal = width, ffn_width, causal
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = position
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(mixer(layer), ffn_width, dropout, arrangement) for layer in range(layers))
        self.norm = nn.LayerNorm(width) if ARRANGEMENTS[arrangement].norm_last else nn.Identity()
        self.head = linear(width, classes)
        self.readout = readout(width, causal=causal)  # after these, so that they start alike whatever the readout
        for block in self.blocks:  # last, so that all other weights start alike whatever the position
            block.mixer.attach(position)  # type: ignore[operator, union-attr]
        if tie == "output":  # only now, so that all else starts as it does untied
            share_table(self.embedding, self.head)
        assert all(m.causal == causal and m.width == width for m in self.mixers)

    @property
    def mixers(self) -> list[Mixer]:
        return [block.mixer for block in self.blocks]  # type: ignore[misc]

    @property
    def reach(self) -> int | None:
        """How many positions away (to one side) the whole model sees; None: all of them."""
        reaches = [self.readout.reach, *(mixer.reach for mixer in self.mixers)]
        return None if None in reaches else sum(r for r in reaches if r is not None)

    def embed(self, tokens_BN: Tensor) -> Tensor:
        return self.dropout(self.position(self.embedding(tokens_BN)))

    def forward(self, tokens_BN: Tensor, where_BT: Tensor | None = None, mask_BN: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) at `where_BT` (None: everywhere, T = N); `mask_BN` is True at real tokens."""
        return self.readout(self.encode(tokens_BN, mask_BN), where_BT, mask_BN, self.classify)

    def loss(
        self,
        tokens_BN: Tensor,
        targets_BT: Tensor,
        where_BT: Tensor | None = None,
        mask_BN: Tensor | None = None,
    ) -> Tensor:
        """What training minimises: the readout's mean loss over the targets that are not -100, in nats."""
        return self.readout.loss(self.encode(tokens_BN, mask_BN), targets_BT, where_BT, mask_BN, self.classify)

    def encode(self, tokens_BN: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        """The last block's output, (B, N, D)."""
        x_BND = self.embed(tokens_BN)
        for block in self.blocks:
            x_BND = block(x_BND, mask_BN)
        return x_BND

    def represent(self, tokens_BN: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        """What the head reads of each position when it is the one that is read, (B, N, D)."""
        return self.norm(self.encode(tokens_BN, mask_BN))

    def classify(self, x: Tensor) -> Tensor:
        """Logits (..., V) of what a readout read, (..., D)."""
        return self.head(self.norm(x))

    def maps(self, tokens_BN: Tensor, mask_BN: Tensor | None = None) -> list[Tensor]:
        """Attention weights (B, H, N, N) of each layer that has them."""
        maps = []
        x_BND = self.embed(tokens_BN)
        for block, mixer in zip(self.blocks, self.mixers, strict=True):
            if mixer.has_maps:
                maps.append(block.maps(x_BND, mask_BN))  # type: ignore[operator]
            x_BND = block(x_BND, mask_BN)
        return maps

    def tables(self) -> list[nn.Module]:
        inside = [mixer.inside for mixer in self.mixers if mixer.inside is not None]
        return [self.embedding, self.position, self.head, *inside]
