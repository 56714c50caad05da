"""Bases that are beliefs: Gaussian moments, from a norm's γ and β through elementwise functions.

In training the output of a norm has mean β and variance γ²·V/(V + ε), channel by channel. Taken for
Gaussian and put through the functions that follow, they give E[x²] where noise meets the data, and
E[x²] and the weights give N. Functions are not known by name: the operation itself is integrated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from varshift._engine import Operation
from varshift._engine.trace.flow import same_storage
from varshift._predict.parts import VIEWS
from varshift.errors import UsageError
from varshift.results.structure import Sharing
from varshift.theory.conv import conv_noise_energy_from_second
from varshift.theory.linear import linear_noise_energy_from_second
from varshift.theory.quadrature import gaussian_moments

__all__ = ["Belief", "Beliefs", "Piece"]

_ELEMENTWISE = frozenset(
    {
        *("relu", "gelu", "silu", "mish", "sigmoid", "tanh", "elu", "celu", "selu", "leaky_relu"),
        *("hardtanh", "hardswish", "hardsigmoid", "softplus", "clamp", "clamp_min", "clamp_max"),
        *("exp", "abs", "square", "neg", "softshrink", "hardshrink", "threshold"),
    }
)
_SAME = frozenset({"clone", "contiguous", "_to_copy", "alias", "detach", "lift_fresh"})
_ARITHMETIC = frozenset({"add", "sub", "mul", "div"})


@dataclass(frozen=True, eq=False)
class Piece:
    """Some channels: a function of a norm's Gaussian output; `repeat` positions a channel."""

    root: str
    mean: Tensor
    var: Tensor
    function: Callable[[Tensor], Tensor]
    repeat: int = 1

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of the function, (C,) each."""
        return gaussian_moments(self.function, self.mean, self.var)

    @property
    def total(self) -> float:
        """Summed variance of all channels and positions."""
        return float(self.moments[1].nansum()) * self.repeat

    def shrunk(self, ratio: Tensor) -> float:
        """The same with the root's variance multiplied by `ratio`, (C,)."""
        calm = gaussian_moments(self.function, self.mean, self.var * ratio)[1]
        return float(calm.nansum()) * self.repeat

    def then(self, step: Callable[[Tensor], Tensor]) -> Piece:
        """Put through one more function."""
        before = self.function
        return replace(self, function=lambda x: step(before(x)))


@dataclass(frozen=True, eq=False)
class Belief:
    """What is believed of a tensor with channels in dimension 1, `spatial` behind them."""

    pieces: tuple[Piece, ...]
    spatial: tuple[int, ...]

    @property
    def second(self) -> Tensor:
        """E[x²] per channel, (C,) float64."""
        values = []
        for piece in self.pieces:
            mean, var = piece.moments
            values.append((mean.square() + var).repeat_interleave(piece.repeat))
        return torch.cat(values)

    def then(self, step: Callable[[Tensor], Tensor]) -> Belief:
        """Every piece put through one more function."""
        return replace(self, pieces=tuple(piece.then(step) for piece in self.pieces))


class Beliefs:
    """The algebra of a pass without data; `of` holds what is believed of each tensor met.

    `scale`: by what the noise that meets data just now multiplies it on average; NaN where that is
    no one number.
    """

    drawn = False

    def __init__(self) -> None:
        self.scale = 1.0
        self._held: dict[int, tuple[Tensor, Belief]] = {}
        self._feeds: dict[int, tuple[Tensor, tuple[Piece, ...]]] = {}

    def of(self, tensor: Tensor) -> Belief | None:
        """What is believed of a tensor's clean value."""
        held = self._held.get(id(tensor))
        return held[1] if held is not None else None

    def feeds(self, tensor: Tensor) -> tuple[Piece, ...]:
        """The pieces whose weighted sums make up the tensor, where that is known."""
        belief = self.of(tensor)
        if belief is not None:
            return belief.pieces
        held = self._feeds.get(id(tensor))
        return held[1] if held is not None else ()

    def put(self, tensor: Tensor, belief: Belief | None) -> None:
        """From now on this is believed of the tensor (None: nothing)."""
        if belief is None:
            self._held.pop(id(tensor), None)
        else:
            self._held[id(tensor)] = (tensor, belief)

    def forget(self, written: Tensor) -> None:
        """Other views of a tensor that was written to are not what they were believed to be."""
        for held in (self._held, self._feeds):
            for key, (tensor, _) in list(held.items()):
                if tensor is not written and same_storage(tensor, written):
                    held.pop(key)

    def met(self, operation: Operation) -> None:
        """A noise has met data: the result's clean value is the data's, and so is what feeds it."""
        out = operation.outputs()[0]
        self.put(out, self.enters(operation, out))
        self._feed(operation, out)

    def _feed(self, operation: Operation, out: Tensor) -> None:
        inputs = [value for value in _flat(operation.args) if isinstance(value, Tensor)]
        fed = tuple(dict.fromkeys(p for tensor in inputs for p in self.feeds(tensor)))
        if fed:
            self._feeds[id(out)] = (out, fed)

    def observe(self, operation: Operation) -> None:
        """An operation without noise in it has run: what follows for its results."""
        outputs = operation.outputs()
        if not outputs:
            return
        believed = [(i, b) for i, v in enumerate(operation.args) if (b := self._believed(v))]
        self.put(outputs[0], self._after(operation, believed))
        if operation.name not in _ELEMENTWISE:
            self._feed(operation, outputs[0])

    def _believed(self, value: Any) -> Belief | None:
        return self.of(value) if isinstance(value, Tensor) else None

    def _after(self, operation: Operation, believed: list[tuple[int, Belief]]) -> Belief | None:
        if operation.name == "cat":
            return self._joined(operation)
        if len(believed) == 2 and operation.name == "mul":
            return _product(believed[0][1], believed[1][1])
        if len(believed) != 1:
            return None
        at, belief = believed[0]
        return self.through(operation, at, belief)

    def _joined(self, operation: Operation) -> Belief | None:
        return self.total(operation, [self.of(piece) for piece in operation.args[0]])

    # The algebra ---------------------------------------------------------------------------

    def clean(self, operation: Operation, entry: Callable[[Tensor], Any]) -> list[Any] | None:
        """Nothing: beliefs are about clean values already."""
        return None

    def enters(self, operation: Operation, silent: Tensor) -> Belief | None:
        """What is believed of the data that the noise meets."""
        scale = self.scale
        for value in operation.args:
            belief = self._believed(value)
            if belief is not None and math.isfinite(scale):
                return belief if scale == 1.0 else belief.then(lambda x: x * scale)
        return None

    def through(self, operation: Operation, at: int, base: Belief | None) -> Belief | None:
        """A belief put through an operation that acts on each value alone."""
        if base is None:
            return None
        name, outputs = operation.name, operation.outputs()
        if name in _SAME or name in VIEWS:
            return _viewed(base, outputs[0]) if outputs else None
        numbers = [value for index, value in enumerate(operation.args) if index != at]
        if any(isinstance(value, Tensor) and value.numel() != 1 for value in numbers):
            return None
        if name in _ELEMENTWISE or name in _ARITHMETIC:
            return base.then(_step(operation, at))
        return None

    def energy(self, operation: Operation, base: Belief | None, sharing: Sharing) -> Tensor | None:
        """N from second moments: exact given them, for masks of their own for each value."""
        if base is None:
            return None
        try:
            second = base.second
        except UsageError:  # a function that does not settle under the integral
            return None
        if operation.name != "convolution":
            flat = sharing == "element" or (sharing == "channel" and not base.spatial)
            weight = operation.args[2 if operation.name == "addmm" else 1].t().cpu()
            return linear_noise_energy_from_second(second, weight) if flat else None
        weight, transposed = operation.args[1], operation.args[6]
        single = math.prod(weight.shape[2:]) == 1
        if transposed or not (sharing == "element" or (sharing == "channel" and single)):
            return None
        _, _, _, stride, padding, dilation, _, _, groups = operation.args[:9]
        positions = second.view(-1, *(1,) * len(base.spatial)).expand(-1, *base.spatial)
        return conv_noise_energy_from_second(
            positions.contiguous(),
            weight.cpu(),
            stride=tuple(stride),
            padding=tuple(padding),
            dilation=tuple(dilation),
            groups=groups,
        )

    def pooled(self, operation: Operation, base: Belief | None, share: float) -> Tensor | None:
        """N = E[b²]/k for windows of k values; borders that are padded are not known."""
        padding = operation.argument("padding") if operation.has("padding") else ()
        return None if base is None or any(padding or ()) else base.second * share

    def total(self, operation: Operation, bases: Sequence[Any]) -> Belief | None:
        """Channels side by side; unknown where any piece is."""
        if any(base is None for base in bases) or not bases:
            return None
        dim = operation.args[1] if len(operation.args) > 1 else 0
        if dim % (len(bases[0].spatial) + 2) != 1:
            return None
        return Belief(tuple(piece for base in bases for piece in base.pieces), bases[0].spatial)

    def floor(self, base: Belief | None) -> float:
        """Unknown: correlation is not in a checkpoint."""
        return math.nan

    def second(self, base: Belief | None) -> Tensor | None:
        """E[b²] per channel."""
        return None if base is None else base.second


def _viewed(base: Belief, out: Tensor) -> Belief | None:
    channels = sum(len(piece.mean) * piece.repeat for piece in base.pieces)
    if out.ndim >= 2 and out.shape[1] == channels:
        return replace(base, spatial=tuple(out.shape[2:]))
    positions = math.prod(base.spatial)
    if out.ndim == 2 and out.shape[1] == channels * positions:
        pieces = tuple(replace(p, repeat=p.repeat * positions) for p in base.pieces)
        return Belief(pieces, ())
    return None


def _product(one: Belief, other: Belief) -> Belief | None:
    """A function of a norm's output times another of the same output, as in x·sigmoid(x)."""
    if len(one.pieces) != len(other.pieces) or one.spatial != other.spatial:
        return None
    pieces = []
    for mine, yours in zip(one.pieces, other.pieces, strict=True):
        if mine.mean is not yours.mean:
            return None
        pieces.append(_multiplied(mine, yours))
    return Belief(tuple(pieces), one.spatial)


def _multiplied(one: Piece, other: Piece) -> Piece:
    first, second = one.function, other.function
    return replace(one, function=lambda x: first(x) * second(x))


def _step(operation: Operation, at: int) -> Callable[[Tensor], Tensor]:
    """The operation as a function of its one input of interest, out of place, in float64."""
    run = getattr(torch.ops.aten, operation.name)
    args, kwargs = operation.args, operation.kwargs
    rest = tuple(
        value.detach().double().cpu().reshape(())
        if isinstance(value, Tensor) and index != at
        else value
        for index, value in enumerate(args)
    )

    def step(x: Tensor) -> Tensor:
        result: Tensor = run(*(x if index == at else v for index, v in enumerate(rest)), **kwargs)
        return result

    return step


def _flat(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found += _flat(value) if isinstance(value, (tuple, list)) else [value]
    return found
