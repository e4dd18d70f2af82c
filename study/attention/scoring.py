"""Scores of keys against queries, which attention turns into weights; each head by itself.

Shapes: B batch, H heads, N queries, M keys, K head width, A hidden width of the additive score (A = K).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

BLOCK = 2**22  # numbers that the additive score holds at once for all its heads, 16 MiB in float32


class Score(nn.Module):
    """(q (B, H, N, K), k (B, H, M, K)) -> scores (B, H, N, M), without softmax or mask.

    Args:
        heads, head_width: H and K, both >= 1; parameters, where there are any, are each head's own.
    """

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width

    def forward(self, q_BHNK: Tensor, k_BHMK: Tensor) -> Tensor:
        raise NotImplementedError


class Dot(Score):
    """q' k (Luong et al. 2015, "dot"). It spreads as sqrt(K): the sum of K products."""

    def forward(self, q_BHNK: Tensor, k_BHMK: Tensor) -> Tensor:
        return q_BHNK @ k_BHMK.mT


class ScaledDot(Dot):
    """q' k / sqrt(K) (Vaswani et al. 2017, section 3.2.1): its spread does not depend on K."""

    def forward(self, q_BHNK: Tensor, k_BHMK: Tensor) -> Tensor:
        return super().forward(q_BHNK, k_BHMK) * self.head_width**-0.5


class Bilinear(Score):
    """q' W k (Luong et al. 2015, "general"), W a K x K matrix."""

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__(heads, head_width)
        self.matrix = _maps(heads, head_width)

    def forward(self, q_BHNK: Tensor, k_BHMK: Tensor) -> Tensor:
        return q_BHNK @ self.matrix.unflatten(0, (self.heads, -1)) @ k_BHMK.mT


class ScaledBilinear(Bilinear):
    """q' W k / sqrt(K)."""

    def forward(self, q_BHNK: Tensor, k_BHMK: Tensor) -> Tensor:
        return super().forward(q_BHNK, k_BHMK) * self.head_width**-0.5


class Cosine(Score):
    """sqrt(K) exp(t) cos(q, k), with t learned from 0 on: it starts with the spread of the scaled dot product.

    Cosines were first used with a sharpness for addressing memory (Graves et al. 2014, section 3.3.1).
    """

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__(heads, head_width)
        self.log_sharpness = nn.Parameter(torch.zeros(heads))

    def forward(self, q_BHNK: Tensor, k_BHMK: Tensor) -> Tensor:
        sharpness_H11 = self.head_width**0.5 * self.log_sharpness.exp()[:, None, None]
        return sharpness_H11 * (F.normalize(q_BHNK, dim=-1) @ F.normalize(k_BHMK, dim=-1).mT)


class Additive(Score):
    """v' tanh(W q + U k) (Bahdanau et al. 2015, appendix A.1.2), with a hidden width of K.

    It is no matrix product: beside its multiply-adds, each pair of a query and a key costs K tanh, each many times a
    multiply-add. The (B, H, N, M, A) hidden numbers need not fit into memory: they are made for some queries at a time, at most
    `BLOCK` of them (or those of one query), and recomputed in the backward pass.
    """

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__(heads, head_width)
        self.query = _maps(heads, head_width)
        self.key = _maps(heads, head_width)
        self.score = _maps(heads, head_width, rows=1)

    def forward(self, q_BHNK: Tensor, k_BHMK: Tensor) -> Tensor:
        q_HBNA = self._hidden(q_BHNK, self.query)
        k_HBMA = self._hidden(k_BHMK, self.key)
        N = q_HBNA.shape[2]
        rows = max(1, BLOCK // k_HBMA.numel())
        if rows >= N:
            return _additive(q_HBNA, k_HBMA, self.score)
        parts = [
            checkpoint(_additive, part, k_HBMA, self.score, use_reentrant=False, preserve_rng_state=False)
            for part in q_HBNA.split(rows, 2)
        ]
        return torch.cat(parts, 2)

    def _hidden(self, t_BHNK: Tensor, maps: Tensor) -> Tensor:
        return torch.einsum("bhnk,hak->hbna", t_BHNK, maps.unflatten(0, (self.heads, -1)))


SCORES: dict[str, type[Score]] = {
    "additive": Additive,
    "dot": Dot,
    "scaled_dot": ScaledDot,
    "bilinear": Bilinear,
    "scaled_bilinear": ScaledBilinear,
    "cosine": Cosine,
}


def _additive(q_HBNA: Tensor, k_HBMA: Tensor, v_HA: Tensor) -> Tensor:
    """Scores (B, H, N, M) of hidden queries and keys; the heads come first, so that the last product copies nothing."""
    hidden_HBNMA = (q_HBNA[:, :, :, None] + k_HBMA[:, :, None]).tanh_()
    scores_HX1 = hidden_HBNMA.flatten(1, 3) @ v_HA[:, :, None]
    return scores_HX1.view(hidden_HBNMA.shape[:-1]).transpose(0, 1)


def _maps(heads: int, inputs: int, rows: int | None = None) -> nn.Parameter:
    """A linear map of each head, one under the other (heads x rows, inputs), uniform on +-1/sqrt(inputs)."""
    weight = torch.empty(heads * (rows or inputs), inputs)
    return nn.Parameter(nn.init.uniform_(weight, -(inputs**-0.5), inputs**-0.5))
