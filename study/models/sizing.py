"""The width at which one model comes as near as it can to another, in what is counted of both."""

import functools
from collections.abc import Callable

TOLERANCE = 0.02  # of the other model's parameters or multiply-adds


def solve_width(count: Callable[[int], float], target: float, *, key: str, what: str) -> int:
    """The width, 1 or more, at which `count`, which must grow with it, comes nearest to `target`.

    `key` and `what` name the width and what is counted, for the ValueError that says when even the least is too much, or when
    no whole width comes within 2 %.
    """
    count = functools.cache(count)
    if (least := count(1)) > target * (1 + TOLERANCE):
        raise ValueError(
            f"even {key}=1 has {least:.0f} {what}, more than the {target:.0f} to be matched; "
            f"use model.match=nothing, a larger model.ffn_width, fewer layers or a smaller width"
        )
    guess = 1 + max(0, int((target - least) / (count(2) - least)))  # right at once where the count is linear
    below, above = (guess, guess + 1) if count(guess) <= target else (1, guess)
    while count(above) < target:
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if count(middle) < target else (below, middle)
    nearest = min(below, above, key=lambda width: abs(count(width) - target))
    if abs((counted := count(nearest)) - target) > TOLERANCE * target:
        raise ValueError(
            f"no {key} comes within {TOLERANCE:.0%} of {target:.0f} {what}, {key}={nearest} has {counted:.0f}; "
            f"use model.match=nothing, or another model.ffn_width or model.width"
        )
    return nearest
