"""What is known of one source's noise in one tensor, and how operations change that.

The noise of source s in a tensor is b·(ξ − 1) while nothing has mixed its values: b is its *base*.
Weights turn a base into an *energy* N per channel: the noise's variance is τN from then on. What
fits neither is *lost*: the source still reaches the norm, but no law gives its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from varshift._engine import Operation
from varshift.results.structure import Sharing

__all__ = [
    "VIEWS",
    "Algebra",
    "Base",
    "Energy",
    "Lost",
    "Masked",
    "Part",
    "energy_at",
    "joined",
    "part_after",
]


@dataclass(frozen=True, eq=False)
class Base:
    """b: a full tensor, or a belief about one.

    `pure`: it is the whole of the tensor's clean value. `signed`: ξ may be negative, so that ξ does
    not pass through a ReLU.
    """

    value: Any
    pure: bool
    sharing: Sharing
    signed: bool = False


@dataclass(frozen=True, eq=False)
class Energy:
    """N per channel, (C,) float64, channels in dimension `dim`.

    `floor`: (1 − ρ)v/(c² + v) of the weights' inputs, the part of signal ÷ N that width leaves as
    it is; NaN where unknown.
    """

    value: Tensor
    dim: int
    floor: float | Tensor = math.nan


@dataclass(frozen=True)
class Lost:
    """Not followed; `where` it was lost, in the user's own terms: a module, a line."""

    where: str


@dataclass(frozen=True, eq=False)
class Masked:
    """Some channels, (C,) bool in dimension 1, are wholly a base of values that are not known."""

    mask: Tensor


Part = Base | Energy | Masked | Lost


class Algebra(Protocol):
    """What clean values and bases are, and what they can be put through.

    `drawn`: a clean value holds the noise drawn before, so that a second one on top finds it there.
    """

    drawn: bool

    def clean(self, operation: Operation, entry: Callable[[Tensor], Any]) -> list[Any] | None:
        """Results of an operation from the clean twins of its inputs; called before it runs."""

    def enters(self, operation: Operation, silent: Tensor) -> Any:
        """The clean value where a noise meets data."""

    def through(self, operation: Operation, at: int, base: Any) -> Any:
        """The base after an operation that acts on each value alone; None where unknown."""

    def energy(self, operation: Operation, base: Any, sharing: Sharing) -> Tensor | None:
        """N behind a linear or convolution layer, (out,) float64."""

    def pooled(self, operation: Operation, base: Any, share: float) -> Tensor | None:
        """N behind an average over 1/share values each, (C,) float64."""

    def total(self, operation: Operation, bases: Sequence[Any]) -> Any:
        """Bases concatenated (None for a piece without noise); None where unknown."""

    def floor(self, base: Any) -> float | Tensor:
        """(1 − ρ)v/(c² + v) of the base, over all its channels; NaN where unknown."""

    def second(self, base: Any) -> Tensor | None:
        """E[b²] per channel, (C,) float64; None where unknown."""


_SAME = frozenset({"clone", "contiguous", "_to_copy", "alias", "detach", "lift_fresh"})
VIEWS = frozenset(
    {
        *("view", "_unsafe_view", "reshape", "_reshape_alias", "permute", "transpose", "t"),
        *("unsqueeze", "squeeze", "expand", "slice", "select", "flatten"),
    }
)
_RELU = frozenset({"relu", "leaky_relu"})
_MAX_POOLS = frozenset(
    {"max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d"}
)
_AVERAGES = frozenset(
    {"mean", "avg_pool1d", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d"}
    | {"_adaptive_avg_pool3d"}
)
_WEIGHTS = {"convolution": (0, 1), "addmm": (1, 2), "mm": (0, 1)}


def energy_at(part: Part, algebra: Algebra) -> Tensor | None:
    """N per channel of a part that has arrived at a norm, (C,) float64; None where unknown."""
    if isinstance(part, Energy):
        return part.value if part.dim == 1 else None
    return algebra.second(part.value) if isinstance(part, Base) else None


def part_after(
    operation: Operation, at: int, shape: torch.Size, part: Part, algebra: Algebra
) -> Part | None:
    """The part of the input `at` (its place among the arguments), once the operation is done.

    None where it is lost in this operation.
    """
    if isinstance(part, Lost):
        return part
    if isinstance(part, Masked):
        return part if operation.name in _SAME else None
    return _after(operation, at, shape, part, algebra)


def _after(
    operation: Operation, at: int, shape: torch.Size, part: Base | Energy, algebra: Algebra
) -> Part | None:
    name = operation.name
    outputs = operation.outputs()
    out = outputs[0].shape if outputs else shape
    if name in _SAME:
        return part if isinstance(part, Energy) else _moved(part, operation, at, algebra)
    if name in VIEWS:
        return _viewed(operation, at, shape, out, part, algebra)
    if name in ("add", "sub", "rsub"):
        same = out == shape and operation.kwargs.get("alpha", 1) == 1
        return None if not same else part if isinstance(part, Energy) else _impure(part)
    if name in ("mul", "div"):
        return _scaled(operation, at, shape, out, part, algebra)
    if isinstance(part, Energy):
        return None
    if name in _WEIGHTS:
        return _weighed(operation, at, part, algebra)
    if name in _RELU or (name in _MAX_POOLS and part.sharing in ("channel", "sample")):
        return _moved(part, operation, at, algebra) if part.pure and not part.signed else None
    if name in _AVERAGES:
        return _averaged(operation, at, shape, out, part, algebra)
    return None


def joined(
    operation: Operation,
    parts: Sequence[Part | None],
    shapes: Sequence[torch.Size],
    algebra: Algebra,
) -> Part | None:
    """A source's part in a concatenation along the channels; None where it is lost in it."""
    dim = operation.args[1] if len(operation.args) > 1 else operation.kwargs.get("dim", 0)
    known = [part for part in parts if part is not None]
    for part in known:
        if isinstance(part, Lost):
            return part
    if dim % len(shapes[0]) != 1:
        return None
    if all(isinstance(part, Energy) and part.dim == 1 for part in known):
        like = next(part.value for part in known if isinstance(part, Energy))
        pieces = [
            part.value if isinstance(part, Energy) else like.new_zeros(shape[1])
            for part, shape in zip(parts, shapes, strict=True)
        ]
        return Energy(torch.cat(pieces), 1)
    bases = [part for part in known if isinstance(part, Base)]
    if len(bases) == len(known):
        values = [part.value if isinstance(part, Base) else None for part in parts]
        value = algebra.total(operation, values)
        if value is not None:
            one = bases[0] if len(bases) == 1 else _copied(bases[0])
            return replace(one, value=value, pure=len(bases) == len(parts))
    if all(isinstance(part, Masked) or (isinstance(part, Base) and part.pure) for part in known):
        masks = [_mask(part, shape[1]) for part, shape in zip(parts, shapes, strict=True)]
        return Masked(torch.cat(masks))
    return None


def _mask(part: Part | None, channels: int) -> Tensor:
    if isinstance(part, Masked):
        return part.mask
    return torch.full((channels,), part is not None, device="cpu")


def _moved(part: Base, operation: Operation, at: int, algebra: Algebra) -> Part | None:
    value = algebra.through(operation, at, part.value)
    return None if value is None else replace(part, value=value)


def _copied(part: Base) -> Base:
    """Some values now share a draw that did not before; behind weights they do not add alone."""
    return part if part.sharing == "sample" else replace(part, sharing="other")


def _impure(part: Base) -> Base:
    return replace(part, pure=False)


def _viewed(
    operation: Operation,
    at: int,
    shape: torch.Size,
    out: torch.Size,
    part: Base | Energy,
    algebra: Algebra,
) -> Part | None:
    if isinstance(part, Base):
        if part.sharing in ("channel", "other", "block") and (
            out[:2] != shape[:2] or _dim_after(operation, shape, out, 1) != 1
        ):
            return None
        # By channel a mask has no positions of its own that could be spread.
        wider = out.numel() > shape.numel() and part.sharing != "channel"
        return _moved(_copied(part) if wider else part, operation, at, algebra)
    if operation.name in ("slice", "select") and out.numel() < shape.numel():
        return None  # a mean over all places is not that of some of them
    dim = _dim_after(operation, shape, out, part.dim)
    return None if dim is None or out[dim] != shape[part.dim] else replace(part, dim=dim)


def _dim_after(operation: Operation, shape: torch.Size, out: torch.Size, dim: int) -> int | None:
    """Where a dimension has gone; None where it is no dimension of its own any more."""
    name, args, rank = operation.name, operation.args, len(shape)
    if name in ("transpose", "t"):
        one, other = (args[1] % rank, args[2] % rank) if name == "transpose" else (0, 1)
        return {one: other, other: one}.get(dim, dim)
    if name == "permute":
        return [int(place) % rank for place in args[1]].index(dim)
    if name == "unsqueeze":
        return dim + int(args[1] % (rank + 1) <= dim)
    if name in ("slice", "expand"):
        return dim + len(out) - rank
    if name in ("select", "squeeze"):
        gone = _gone(operation, shape)
        return None if dim in gone else dim - sum(each < dim for each in gone)
    if dim == rank - 1 and out[-1] == shape[-1]:
        return len(out) - 1
    return dim if out[: dim + 1] == shape[: dim + 1] else None


def _gone(operation: Operation, shape: torch.Size) -> list[int]:
    """The dimensions that a `select` or `squeeze` takes away."""
    said = operation.args[1] if len(operation.args) > 1 else range(len(shape))
    dims = [int(each) % len(shape) for each in ((said,) if isinstance(said, int) else said)]
    return [each for each in dims if operation.name == "select" or shape[each] == 1]


def _scaled(
    operation: Operation,
    at: int,
    shape: torch.Size,
    out: torch.Size,
    part: Base | Energy,
    algebra: Algebra,
) -> Part | None:
    if out != shape or (operation.name == "div" and at != 0):
        return None
    if isinstance(part, Base):
        return _moved(_impure(part), operation, at, algebra)
    factor = operation.args[1 - at]
    by = (
        factor
        if isinstance(factor, Tensor)
        else torch.tensor(float(factor), dtype=torch.float64, device="cpu")
    )
    if by.numel() == 1:
        by = by.reshape(())
    elif by.numel() == len(part.value) and by.ndim >= len(out) - part.dim:
        by = by.reshape(-1)
    else:
        return None
    by = by.detach().to(part.value)
    square = by.square()
    return replace(
        part, value=part.value / square if operation.name == "div" else part.value * square
    )


def _weighed(operation: Operation, at: int, part: Base, algebra: Algebra) -> Part | None:
    if at != _WEIGHTS[operation.name][0]:
        return None
    value = algebra.energy(operation, part.value, part.sharing)
    return None if value is None else Energy(value, 1, algebra.floor(part.value))


def _averaged(
    operation: Operation,
    at: int,
    shape: torch.Size,
    out: torch.Size,
    part: Base,
    algebra: Algebra,
) -> Part | None:
    if part.sharing in ("channel", "sample"):
        return _moved(part, operation, at, algebra)
    if part.sharing != "element" or out[:2] != shape[:2]:
        return None
    share = _window(operation, shape, out)
    value = None if share is None else algebra.pooled(operation, part.value, share)
    return None if value is None else Energy(value, 1)


def _window(operation: Operation, shape: torch.Size, out: torch.Size) -> float | None:
    """1 ÷ the number of values in each window; None where windows differ."""
    if operation.name.startswith("avg_pool"):
        padding = operation.argument("padding")
        counted = operation.argument("count_include_pad")
        if any(padding or ()) and counted is False:
            return None
        return 1.0 / int(math.prod(operation.argument("kernel_size")))
    whole, left = math.prod(shape[2:]), math.prod(out[2:])
    return (
        left / whole if all(a % b == 0 for a, b in zip(shape[2:], out[2:], strict=False)) else None
    )
