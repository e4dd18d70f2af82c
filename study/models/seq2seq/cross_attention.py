"""Multi-head attention of a decoder over the memory (Vaswani et al. 2017, section 3.2.3, "encoder-decoder attention").

Shapes: B pairs, M source tokens, N queries, D width, H heads, K head width.
"""

from torch import Tensor, nn

from study.attention.dot_product import attention, attention_weights
from study.mixers.attention import Cache, resolve_head_width
from study.mixers.base import linear


class CrossAttention(nn.Module):
    """softmax(q k' / sqrt(K)) v, queries from the decoder, keys and values from the memory; no biases.

    Keys and values are projected once, by `project`, however many queries follow. Raises ValueError unless `heads` divides
    `width`.
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, resolve_head_width(width, heads, None)
        self.query = linear(width, width, bias=False)
        self.key_value = linear(width, 2 * width, bias=False)
        self.out = linear(width, width, bias=False)

    def project(self, memory_BMD: Tensor) -> Cache:
        """Keys and values of the memory, each (B, H, M, K)."""
        k_BHMK, v_BHMK = (self.split(t_BMD) for t_BMD in self.key_value(memory_BMD).chunk(2, -1))
        return k_BHMK, v_BHMK

    def split(self, x_BND: Tensor) -> Tensor:
        return x_BND.unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)

    def forward(
        self, x_BND: Tensor, memory: Cache, real_BM: Tensor, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """(B, N, D); and the weights (B, H, N, M), exactly 0 where `real_BM` is False, if they are asked for.

        Without them the fused kernel does it.
        """
        q_BHNK, (k_BHMK, v_BHMK) = self.split(self.query(x_BND)), memory
        weights_BHNM = attention_weights(q_BHNK, k_BHMK, real_BM) if need_weights else None
        if weights_BHNM is None:
            y_BHNK = attention(q_BHNK, k_BHMK, v_BHMK, real_BM, causal=False)
        else:
            y_BHNK = weights_BHNM.to(v_BHMK.dtype) @ v_BHMK
        return self.out(y_BHNK.transpose(1, 2).flatten(2)), weights_BHNM
