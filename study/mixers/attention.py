"""Full multi-head attention (Vaswani et al. 2017, sections 3.2.1 and 3.2.2).

Shapes: B batch, N queries, M keys, D width, H heads, K head width.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.attention.dot_product import attention, attention_weights
from study.mixers.base import Mixer, linear
from study.positions.base import InsidePosition, Position

Cache = tuple[Tensor, Tensor]  # keys and values (B, H, M, K) seen so far


class Attention(Mixer):
    """softmax(q k' / sqrt(K)) v over all positions, in several heads; no biases.

    Other attentions derive from it: `project` makes queries, keys and values, `attend` takes the means of a whole sequence,
    `attend_last` that of the newest query, `weights` tells the weights of both.
    """

    name = "attention"
    has_maps = True

    def __init__(self, width: int, *, heads: int = 4, head_width: int | None = None, **given: Any) -> None:
        super().__init__(width, **given)
        self.heads, self.head_width = heads, resolve_head_width(width, heads, head_width)
        self.qkv: nn.Module = linear(width, 3 * heads * self.head_width, bias=False)
        self.out = linear(heads * self.head_width, width, bias=False)

    def attach(self, position: Position) -> None:
        if isinstance(position, InsidePosition):
            self.inside = position.inside(self.heads, self.head_width, causal=self.causal)

    def project(self, x_BND: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, H, N, K), of positions start .. start + N - 1."""
        heads = (self.heads, self.head_width)
        q, k, v = (t.unflatten(-1, heads).transpose(1, 2) for t in self.qkv(x_BND).chunk(3, -1))
        if self.inside is not None:
            q, k = self.inside.rotate(q, start), self.inside.rotate(k, start)
        return q, k, v

    def attend(self, q_BHNK: Tensor, k_BHNK: Tensor, v_BHNK: Tensor, mask_BN: Tensor | None) -> Tensor:
        if self.inside is None or self.inside.fused:
            return attention(q_BHNK, k_BHNK, v_BHNK, mask_BN, causal=self.causal)
        return self._mean(self.weights(q_BHNK, k_BHNK, mask_BN, self.allowed(q_BHNK.shape[2], q_BHNK.device)), v_BHNK)

    def allowed(self, N: int, device: torch.device) -> Tensor | None:
        """(N, N), True where a query (row) may attend to a key (column); None for everywhere."""
        return torch.ones(N, N, dtype=torch.bool, device=device).tril() if self.causal else None

    def forward(self, x_BND: Tensor, mask_BN: Tensor | None = None) -> Tensor:
        return self.join(self.attend(*self.project(x_BND), mask_BN))

    def join(self, y_BHNK: Tensor) -> Tensor:
        """The heads' means, side by side, projected to (B, N, D)."""
        return self.out(y_BHNK.transpose(1, 2).flatten(2))

    def maps(self, x_BND: Tensor, mask_BN: Tensor | None = None, cut_BNN: Tensor | None = None) -> Tensor:
        """(B, H, N, N); where `cut_BNN` is True no head sees the key (column) from the query (row)."""
        q_BHNK, k_BHNK, _ = self.project(x_BND)
        allowed = self.allowed(x_BND.shape[1], x_BND.device)
        if cut_BNN is not None:
            allowed = ~cut_BNN[:, None] if allowed is None else allowed & ~cut_BNN[:, None]
        return self.weights(q_BHNK, k_BHNK, mask_BN, allowed)

    def weights(
        self,
        q_BHNK: Tensor,
        k_BHMK: Tensor,
        mask_BM: Tensor | None = None,
        allowed_NM: Tensor | None = None,
        start: int = 0,
    ) -> Tensor:
        """(B, H, N, M) and at least float32: 0 where not allowed, all 0 where nothing is; queries from position `start` on."""
        bias = None if self.inside is None else self.inside.bias(q_BHNK, k_BHMK.shape[2], start)
        return attention_weights(q_BHNK, k_BHMK, mask_BM, allowed_NM, bias)

    def reweighted(self, x_BND: Tensor, weights_BHNN: Tensor) -> Tensor:
        """What `forward` would give under these weights instead of its own."""
        return self.join(self._mean(weights_BHNN, self.project(x_BND)[2]))

    def _mean(self, weights_BHNM: Tensor, v_BHMK: Tensor, start: int = 0) -> Tensor:
        """Of the values under the weights, (B, H, N, K), with what a position adds."""
        y_BHNK = weights_BHNM.to(v_BHMK.dtype) @ v_BHMK
        added_BHNK = None if self.inside is None else self.inside.values(weights_BHNM, start)
        return y_BHNK if added_BHNK is None else y_BHNK + added_BHNK

    def _empty_state(self, batch, device, dtype) -> Cache:
        empty = torch.empty(batch, self.heads, 0, self.head_width, device=device, dtype=dtype)
        return empty, empty

    def step(self, x_BD: Tensor, state: Cache) -> tuple[Tensor, Cache]:
        start = state[0].shape[2]
        q_BH1K, *new = self.project(x_BD[:, None], start)
        keep = 0 if self.reach is None else -(self.reach + 1)  # a window forgets what it no longer sees
        k_BHMK, v_BHMK = (torch.cat(pair, 2)[:, :, keep:] for pair in zip(state, new, strict=True))
        return self.out(self.attend_last(q_BH1K, k_BHMK, v_BHMK, start).flatten(1)), (k_BHMK, v_BHMK)

    def attend_last(self, q_BH1K: Tensor, k_BHMK: Tensor, v_BHMK: Tensor, start: int) -> Tensor:
        """(B, H, 1, K): the mean of the query at position `start`, over the keys up to its own."""
        if self.inside is None or self.inside.fused:
            return F.scaled_dot_product_attention(q_BH1K, k_BHMK, v_BHMK)
        return self._mean(self.weights(q_BH1K, k_BHMK, start=start), v_BHMK, start)


def resolve_head_width(width: int, heads: int, head_width: int | None) -> int:
    """The head width, checked; ValueError when it can't be."""
    if heads < 1 or (head_width is not None and head_width < 1):
        raise ValueError(f"heads={heads} and head_width={head_width} must be at least 1")
    if head_width is not None:
        return head_width
    if width % heads:
        divisors = ", ".join(str(h) for h in range(1, width + 1) if width % h == 0)
        raise ValueError(f"heads={heads} does not divide width={width}; use one of {divisors}, or set head_width")
    return width // heads
