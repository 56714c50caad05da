"""What an operation gives where the noise that meets data in it does nothing.

Two readings: the noise replaced by its mean, about which it varies; and the noise left out, the
data going on as if it had not been drawn. They are one wherever the mean is a neutral value.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from varshift._engine.trace.flow import Flow
from varshift._engine.trace.meeting import how_it_meets, marks
from varshift._engine.trace.ops import Operation

__all__ = ["SUMS", "by_mean", "left_out", "shut_out"]

SUMS = frozenset({"mm", "bmm"})
# Affine in the noise, so that the mean of the result is the result of the mean.
_AFFINE = frozenset({"mul", "add", "sub", "rsub", "addcmul", "lerp"}) | SUMS
# Affine in the first argument alone: a bias that is added to a product.
_BIASED = frozenset({"addmm", "baddbmm"})
_ADDED = frozenset({"add", "sub", "rsub"}) | _BIASED
_NEUTRAL = {"mul": 1.0, "addcmul": 0.0, **dict.fromkeys(_ADDED, 0.0)}
_BIASES = ("attn_mask", "attn_bias")  # what attention adds to its logits
_HUGE = 1e3  # times all the data: a mean of such values leaves nothing of it


def by_mean(operation: Operation, noise: Tensor, mean: Tensor) -> Tensor | None:
    """The operation's result with `noise` replaced by its mean; its arguments stay as they are."""
    name, args = operation.name, operation.args
    if name == "masked_fill" and args[1] is noise:
        return _mixed(mean, args[2], args[0])
    if name == "where" and args[0] is noise:
        return _mixed(mean, args[1], args[2])
    if marks(operation, noise):
        dropped = how_it_meets(operation, noise) == "drop"
        return _mixed(mean, args[2], args[0]) if dropped else None
    if noise.dtype == torch.bool and name != "mul":
        return None
    biased = name in _BIASED and args[0] is noise
    return _again(operation, noise, mean) if biased or name in _AFFINE else None


def left_out(operation: Operation, noise: Tensor, flows: list[Flow]) -> Tensor | None:
    """The operation's result as if `noise` had not been drawn; None where that has no meaning.

    `flows`: what each tensor that the operation reads carries.
    """
    name, args = operation.name, operation.args
    if name == "masked_fill" and args[1] is noise:
        return _again(operation, noise, noise.new_zeros(()))
    if name == "where" and args[0] is noise:
        standing = _standing_in(operation, flows)
        return None if standing is None else _again(operation, noise, noise.new_tensor(standing))
    if marks(operation, noise):
        whole: Tensor = args[0].clone()
        return whole
    if _bias_of_attention(operation, noise):
        return _again(operation, noise, noise.new_zeros(()))
    if name not in _NEUTRAL or (name in _BIASED and args[0] is not noise):
        return None
    if noise.dtype == torch.bool and name != "mul":
        return None
    return _again(operation, noise, noise.new_tensor(_NEUTRAL[name]))


def shut_out(operation: Operation, noise: Tensor, flows: list[Flow]) -> Tensor | None:
    """The data left alone, where the noise brings in values next to which it is nothing.

    That is how attention masks its keys: a logit of −1e9 or −∞ leaves no weight, and a mean of
    such values would leave nothing of the others. None where it does no such thing.
    """
    brought = _brought_in(operation, noise, flows)
    data = None if brought is None else left_out(operation, noise, flows)
    if data is None or not data.is_floating_point():
        return None
    values = torch.as_tensor(brought, device=data.device).abs().double()
    if not values.numel() or not data.numel():
        return None
    if not bool(values.isfinite().all()):
        return data
    size = data.where(data.isfinite(), 0).abs().max().double()  # other keys may be masked already
    return data if bool((size > 0) & (values.max() > _HUGE * size)) else None


def _brought_in(operation: Operation, noise: Tensor, flows: list[Flow]) -> Any:
    """The values that stand in for data, or are added to it; None where it is another meeting."""
    name, args = operation.name, operation.args
    if (name == "masked_fill" and args[1] is noise) or marks(operation, noise):
        return args[2]
    if name == "where" and args[0] is noise:
        standing = _standing_in(operation, flows)
        return None if standing is None else args[2] if standing else args[1]
    if noise.dtype == torch.bool or noise.is_complex():
        return None
    if _bias_of_attention(operation, noise):
        return noise
    alpha = operation.argument("alpha") if operation.has("alpha") else None
    return noise * (1 if alpha is None else alpha) if name in _ADDED else None


def _standing_in(operation: Operation, flows: list[Flow]) -> bool | None:
    """Of `where(noise, …)`, what the noise is where data goes on; None where both or none is."""
    read = list(zip(operation.read(), flows, strict=True))
    yes, no = (
        any(tensor is value and flow.data for tensor, flow in read) for value in operation.args[1:3]
    )
    return None if yes == no else yes


def _bias_of_attention(operation: Operation, noise: Tensor) -> bool:
    return any(operation.argument(each) is noise for each in _BIASES if operation.has(each))


def _again(operation: Operation, noise: Tensor, value: Tensor) -> Tensor:
    """The operation once more, writing nowhere, with one value in all places of the noise."""
    calm = value.to(noise.device).expand(noise.shape)
    args: tuple[Any, ...] = tuple(calm if each is noise else each for each in operation.args)
    kwargs = {key: calm if each is noise else each for key, each in operation.kwargs.items()}
    result = getattr(torch.ops.aten, operation.name)(*args, **kwargs)
    found: Tensor = result if isinstance(result, Tensor) else result[0]
    return found


def _mixed(chance: Tensor, chosen: Any, other: Any) -> Tensor:
    result: Tensor = chance * chosen + (1 - chance) * other
    return result
