"""What every readout offers: how the answer at a scored position is read from the encoded sequence.

Shapes: B batch, N positions, T scored positions, D width, V classes.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from study.mixers.base import linear

Classify = Callable[[Tensor], Tensor]  # the model's last norm and head: (..., D) -> logits (..., V)


class Readout(nn.Module):
    """(B, N, D) and scored positions (B, T) -> logits (B, T, V).

    A scored position reads the real tokens (`mask_BN` True; None: all), when causal those up to itself only;
    `where_BT` None scores every position. A position that may read nothing is padding: its logits mean nothing, but
    are finite.

    A new one is a class in this folder and a yaml in conf/readout; tests/readouts/test_every_readout.py tests every yaml.

    - The constructor's own keywords are the configuration, which the yaml alone explains: defaults, words and bounds; the rest,
      `**given`, goes to the base.
    - `read`, or `forward` where an answer is not that of one vector; and `loss` where it is not the cross-entropy of that.
    - No draw in evaluation; in training from torch's own generator alone.
    """

    name: str  # as the command line calls it, readout=NAME
    reach: int | None = None  # how many positions away (to one side) an answer is read from; None: all of them

    def __init__(self, width: int, *, causal: bool) -> None:
        super().__init__()
        self.width, self.causal = width, causal

    def read(self, x_BND: Tensor, where_BT: Tensor | None, mask_BN: Tensor | None) -> Tensor:
        """One vector per scored position, (B, T, D)."""
        raise NotImplementedError

    def forward(self, x_BND: Tensor, where_BT: Tensor | None, mask_BN: Tensor | None, classify: Classify) -> Tensor:
        return classify(self.read(x_BND, where_BT, mask_BN))

    def loss(
        self,
        x_BND: Tensor,
        targets_BT: Tensor,
        where_BT: Tensor | None,
        mask_BN: Tensor | None,
        classify: Classify,
    ) -> Tensor:
        """Mean cross-entropy in nats, over the targets that are not torch's own `ignore_index`, -100."""
        logits_BTV = self(x_BND, where_BT, mask_BN, classify)
        return F.cross_entropy(at_least_float32(logits_BTV).flatten(0, 1), targets_BT.flatten())

    def visible(self, x_BND: Tensor, where_BT: Tensor | None, mask_BN: Tensor | None) -> Tensor:
        """(B, T, N), True where a scored position reads a position; everywhere in rows that may read nothing."""
        B, N, _ = x_BND.shape
        n_N = torch.arange(N, device=x_BND.device)
        where_BT1 = (n_N.expand(B, -1) if where_BT is None else where_BT)[..., None]
        visible_BTN = n_N <= where_BT1 if self.causal else torch.ones_like(n_N <= where_BT1)
        if mask_BN is not None:
            visible_BTN = visible_BTN & mask_BN[:, None]
        return visible_BTN | ~visible_BTN.any(-1, keepdim=True)


class Query(Readout):
    """Readouts that weigh positions by what the scored one asks for, and in evaluation read the likeliest alone.

    w_i = softmax over i of n_where' W n_i / sqrt(D), with n the layer norm of x: the bilinear score of Luong et al. 2015,
    section 3.1, scaled as in Vaswani et al. 2017, section 3.2.1. What is read is x_i itself.
    """

    def __init__(self, width: int, *, causal: bool) -> None:
        super().__init__(width, causal=causal)
        self.norm = nn.LayerNorm(width)
        self.query = linear(width, width, bias=False)

    def log_weights(self, x_BND: Tensor, where_BT: Tensor | None, mask_BN: Tensor | None) -> Tensor:
        """log w, (B, T, N), in float32 at least; -inf where a position is not read."""
        key_BND = self.norm(x_BND)
        query_BTD = self.query(pick(key_BND, where_BT))
        with torch.autocast(x_BND.device.type, enabled=False):
            scores_BTN = at_least_float32(query_BTD) @ at_least_float32(key_BND).mT * self.width**-0.5
        return scores_BTN.masked_fill(~self.visible(x_BND, where_BT, mask_BN), float("-inf")).log_softmax(-1)

    def weights(self, log_BTN: Tensor) -> Tensor:
        """What positions count for in training (B, T, N), from log w."""
        raise NotImplementedError

    def read(self, x_BND: Tensor, where_BT: Tensor | None, mask_BN: Tensor | None) -> Tensor:
        log_BTN = self.log_weights(x_BND, where_BT, mask_BN)
        if self.training:
            return self.weights(log_BTN).to(x_BND.dtype) @ x_BND
        return pick(x_BND, log_BTN.argmax(-1))


def pick(x_BND: Tensor, where_BT: Tensor | None) -> Tensor:
    """x at given positions, (B, T, D); None: at all of them."""
    return x_BND if where_BT is None else x_BND.gather(1, where_BT[..., None].expand(-1, -1, x_BND.shape[-1]))


def at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def hard(soft_BTN: Tensor) -> Tensor:
    """1 at the largest weight and 0 elsewhere, with the gradient of the soft weights (Bengio et al. 2013, section 3).

    The difference is exactly 0, so that the 1 stays exactly 1.
    """
    return one_at(soft_BTN.argmax(-1), soft_BTN) + (soft_BTN - soft_BTN.detach())


def one_at(place_BT: Tensor, like_BTN: Tensor) -> Tensor:
    """1 at the place and 0 elsewhere, (B, T, N). Unlike torch's one_hot it reads no value, so nothing waits for the device."""
    return torch.zeros_like(like_BTN).scatter_(-1, place_BT[..., None], 1)


def standard_gumbel(like: Tensor) -> Tensor:
    """Draws of the standard Gumbel distribution, -log of exponential ones: log w plus them is largest at i with odds w_i."""
    return -torch.empty_like(like).exponential_().log()
