"""A permuted copy: the target is the source in a fixed order that is neither forwards nor backwards, the same at all lengths.

>>> print(Permutation(max_length=10).sample())
source 15 5 0 3 11 3 7 </s> <pad> <pad> <pad>
target 15 0 11 7 5 3 3 </s> <pad> <pad> <pad>

Shapes: B pairs, T target tokens.
"""

from torch import Tensor

from study.tasks.rearranged import Rearranged


class Permutation(Rearranged):
    """Source symbols 0, 2, 4, ... and then 1, 3, 5, ...."""

    name = "permutation"

    def order(self, place_T: Tensor, length_B1: Tensor) -> Tensor:
        even_B1 = (length_B1 + 1) // 2  # how many of the places 0 .. n-1 are even
        order_BT = (2 * place_T).where(place_T < even_B1, 2 * (place_T - even_B1) + 1)
        return order_BT.minimum(length_B1)

    def rearrange(self, symbols: list[int]) -> list[int]:
        return symbols[::2] + symbols[1::2]
