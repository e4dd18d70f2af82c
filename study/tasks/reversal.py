"""Reversal by an encoder-decoder: the target is the source from its end to its start.

>>> print(Reversal(max_length=10).sample())
source 15 5 0 3 11 3 7 </s> <pad> <pad> <pad>
target 7 3 11 3 0 5 15 </s> <pad> <pad> <pad>

Shapes: B pairs, T target tokens.
"""

from torch import Tensor

from study.tasks.rearranged import Rearranged


class Reversal(Rearranged):
    """Place i of a target of n symbols holds source symbol n-1-i."""

    name = "reversal"

    def order(self, place_T: Tensor, length_B1: Tensor) -> Tensor:
        return (length_B1 - 1 - place_T).clamp(min=0)

    def rearrange(self, symbols: list[int]) -> list[int]:
        return symbols[::-1]
