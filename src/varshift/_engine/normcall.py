"""One batch normalisation as it is met: which norm it is, and with what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from varshift._engine.sites import Handle

__all__ = ["Fixed", "NormCall"]


@dataclass(frozen=True, eq=False)
class Fixed:
    """The statistics that a norm is to use in place of its own, (C,) each; `var` is biased."""

    mean: Tensor
    var: Tensor


@dataclass(frozen=True, eq=False)
class NormCall:
    """A call of batch normalisation with running statistics, by the names of its arguments.

    Attributes:
        path: the norm site.
        owner: the module that holds its statistics.
        arguments: "input", "running_mean", "running_var", "weight", "bias", "training", "eps" …;
            those left out are not there.
        each: in training each sample is normalised by moments of its own, whose averages are
            stored, as InstanceNorm does.
        own: in evaluation it was not seen to be what batch normalisation makes of these statistics,
            so that other ones may mean something else to it.
    """

    path: str
    owner: nn.Module
    arguments: Mapping[str, Any]
    each: bool = False
    own: bool = False

    @property
    def x(self) -> Tensor:
        """Its input, channels in dimension 1."""
        x: Tensor = self.arguments["input"]
        return x

    @property
    def handle(self) -> Handle:
        """Which norm it is, without its input: what may be kept when the pass goes on."""
        held = self.arguments
        return Handle(self.path, self.owner, held["running_mean"], held["running_var"])

    @property
    def training(self) -> bool:
        """Whether it normalises by the batch's own statistics."""
        return bool(self.arguments.get("training", False))

    def stored(self) -> NormCall:
        """The same call by its stored statistics, whatever mode it is in."""
        return self.given(training=False)

    def fixed(self, statistics: Fixed) -> NormCall:
        """The same call by other statistics."""
        kept = self.arguments["running_mean"]
        mean, var = (s.to(kept.device, kept.dtype) for s in (statistics.mean, statistics.var))
        return self.given(training=False, running_mean=mean, running_var=var)

    def scaled(self, scale: Tensor, offset: Tensor) -> NormCall:
        """The same call with `scale` on its weight and `offset` added to its bias, (C,) each."""
        weight, bias = self.arguments.get("weight"), self.arguments.get("bias")
        dtype = self.arguments["running_mean"].dtype if weight is None else weight.dtype
        scale, offset = scale.to(dtype), offset.to(dtype)
        return self.given(
            weight=scale if weight is None else weight * scale,
            bias=offset if bias is None else bias + offset,
        )

    def given(self, **arguments: Any) -> NormCall:
        """The same call with other arguments."""
        return replace(self, arguments={**self.arguments, **arguments})
