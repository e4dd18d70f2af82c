"""How many operations must wait for one another: the longest chain in the autograd graph."""

from torch import Tensor


def critical_path(output: Tensor) -> int:
    """Operations on the longest chain that ends in ``output``, of those that autograd recorded (views are among them).

    No parallel machine can be done in fewer steps, if an operation is one step. Leaves count nothing.
    """
    longest: dict[object, int] = {}
    waiting = [output.grad_fn] if output.grad_fn is not None else []
    while waiting:
        node = waiting[-1]
        before = [earlier for earlier, _ in node.next_functions if earlier is not None]
        if unknown := [earlier for earlier in before if earlier not in longest]:
            waiting += unknown
            continue
        waiting.pop()
        is_leaf = not node.next_functions  # a leaf's gradient is gathered there, nothing computed
        longest[node] = 0 if is_leaf else 1 + max((longest[earlier] for earlier in before), default=0)
    return 0 if output.grad_fn is None else longest[output.grad_fn]
