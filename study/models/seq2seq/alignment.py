"""How a recurrent decoder attends to the source: one query at a time, against keys that are computed once.

Shapes: B pairs, M source tokens, E width of the encoder's states, A width of keys and queries.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from study.mixers.base import linear


class Source(NamedTuple):
    """What an attention keeps of the source."""

    states_BME: Tensor
    keys_BMA: Tensor
    padding_BM: Tensor  # bool, True at PAD


class Alignment(nn.Module):
    """(query (B, A), source) -> (context (B, E), weights (B, M)): the states' sum under weights that are 0 at padding.

    Args:
        query: A, the decoder's hidden width.
        states: E.
    """

    def __init__(self, query: int, states: int) -> None:
        super().__init__()
        self.key = linear(states, query, bias=False)

    def source(self, states_BME: Tensor, real_BM: Tensor) -> Source:
        return Source(states_BME, self.key(states_BME), ~real_BM)

    def forward(self, query_BA: Tensor, source: Source) -> tuple[Tensor, Tensor]:
        scores_BM = self.score(query_BA, source.keys_BMA).masked_fill(source.padding_BM, float("-inf"))
        weights_BM = self.weigh(scores_BM, query_BA, source)
        return (weights_BM[:, None] @ source.states_BME)[:, 0], weights_BM

    def score(self, query_BA: Tensor, keys_BMA: Tensor) -> Tensor:
        """(B, M)."""
        raise NotImplementedError

    def weigh(self, scores_BM: Tensor, query_BA: Tensor, source: Source) -> Tensor:
        return scores_BM.softmax(-1)


class Additive(Alignment):
    """v' tanh(W s + U h), no biases (Bahdanau et al. 2015, appendix A.1.2); U h is the key, and as wide as s."""

    def __init__(self, query: int, states: int) -> None:
        super().__init__(query, states)
        self.query = linear(query, query, bias=False)
        self.energy = linear(query, 1, bias=False)

    def score(self, query_BA: Tensor, keys_BMA: Tensor) -> Tensor:
        return self.energy((self.query(query_BA)[:, None] + keys_BMA).tanh_())[..., 0]


class General(Alignment):
    """s' W h (Luong et al. 2015, equation 8); W h is the key."""

    def score(self, query_BA: Tensor, keys_BMA: Tensor) -> Tensor:
        return (keys_BMA @ query_BA[..., None])[..., 0]


class LocalPredictive(General):
    """The general score in a window around a predicted position, "local-p" (Luong et al. 2015, equations 9 and 10).

    p = S sigmoid(v' tanh(W s)) for a source of S real tokens at positions 0 .. S - 1; the softmax over those within `window`
    of p is multiplied by exp(-(m - p)^2 / (2 sigma^2)), sigma = window / 2. So weights sum to less than 1, as published.

    Args:
        window: D, how far from p the window reaches to each side, >= 1 (then it holds at least one token).
    """

    def __init__(self, query: int, states: int, *, window: int) -> None:
        super().__init__(query, states)
        if window < 1:
            raise ValueError(f"window is {window}; it must be at least 1, so that a token lies in it")
        self.window = window
        self.hidden = linear(query, query, bias=False)
        self.position = linear(query, 1, bias=False)

    def weigh(self, scores_BM: Tensor, query_BA: Tensor, source: Source) -> Tensor:
        lengths_B1 = (~source.padding_BM).sum(1, keepdim=True)
        share_B1 = self.position(self.hidden(query_BA).tanh()).float().sigmoid()  # positions need more than 16 bits
        away_BM = torch.arange(scores_BM.shape[1], device=scores_BM.device) - lengths_B1 * share_B1
        weights_BM = scores_BM.masked_fill(away_BM.abs() > self.window, float("-inf")).softmax(-1)
        return weights_BM * (-2 * (away_BM / self.window) ** 2).exp()
