"""Size and work of a built module: its parameters, and the multiply-adds that it carries out, counted while it runs."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


def multiply_adds(call: Callable[..., Any], *inputs: Any) -> int:
    """Multiply-adds of the matrix products and convolutions in ``call(*inputs)``, a module in evaluation or a function.

    Gates, norms, softmax and biases are not counted. Attention counts as its two full products, whatever kernel carries them
    out, and also where a mask throws half of them away. Nothing is drawn from torch's generator.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]), _Counter() as counter:
        call(*inputs)
    return counter.total


@contextmanager
def sketched(device: str = "meta") -> Iterator[None]:
    """Modules made within are not initialised: no number is drawn. On the meta device they have no storage either, so that
    parameters can be counted but little can be run."""
    with torch.device(device), _Unstarted():
        yield


class _Unstarted(TorchFunctionMode):
    """Leaves tensors as they are instead of starting them: drawing on the meta device imports torch's compiler, for seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


class _Counter(TorchFunctionMode):
    """Adds up what the functions in ``COUNTED`` carry out; they are seen before torch chooses a kernel that hides it."""

    total = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if count := COUNTED.get(getattr(func, "__name__", "")):
            self.total += count(out, *args)
        return out


def _product(out: Tensor, first: Tensor, *_: Any) -> int:
    return out.numel() * first.shape[-1]


def _einsum(out: Tensor, equation: str, *operands: Tensor) -> int:
    sizes = dict(zip(equation.split("->")[0].replace(",", ""), [n for each in operands for n in each.shape], strict=True))
    return math.prod(sizes.values())


def _attention(out: Tensor, query: Tensor, key: Tensor, *_: Any) -> int:
    return (query.numel() + out.numel()) * key.shape[-2]


def _convolution(out: Tensor, x: Tensor, weight: Tensor, *_: Any) -> int:
    return out.numel() * weight[0].numel()


def _recurrence(out: Any, x: Tensor, state: Any, weights: Any, *_: Any) -> int:
    """Each matrix once a token."""
    return math.prod(x.shape[:-1]) * sum(each.numel() for each in weights if each.ndim == 2)


def _cell(out: Any, x: Tensor, state: Any, *weights: Tensor) -> int:
    return _recurrence(out, x, state, weights)


COUNTED: Mapping[str, Callable[..., int]] = {
    **dict.fromkeys(("linear", "matmul", "__matmul__", "mm", "bmm"), _product),
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("conv1d", "conv2d"), _convolution),
    **dict.fromkeys(("rnn_tanh", "gru", "lstm"), _recurrence),
    **dict.fromkeys(("rnn_tanh_cell", "gru_cell", "lstm_cell"), _cell),
}
