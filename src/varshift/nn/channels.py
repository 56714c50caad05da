"""Channel-wise forms by torch's names: one draw per sample and channel, as in `nn.Dropout2d`.

Where they differ from torch 2.14: `nn.Dropout2d` takes a 3D input for (N, C, L), with a warning
that this will change to (C, H, W), and it and `nn.Dropout3d` only warn about other ranks. Here
each takes an input with and without a batch dimension, channels first without one, as
`nn.Dropout1d` and `nn.Dropout3d` do, and refuses other ranks.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.jit import is_scripting  # type: ignore[attr-defined]

from varshift.errors import UsageError
from varshift.nn.functional import gaussian_dropout, uout
from varshift.nn.layers import GaussianDropout, Uout

__all__ = [
    "GaussianDropout1d",
    "GaussianDropout2d",
    "GaussianDropout3d",
    "Uout1d",
    "Uout2d",
    "Uout3d",
]


class _UoutNd(Uout):
    __constants__: ClassVar[list[str]] = ["spatial"]
    spatial: int

    def __init__(self, beta: float = 0.1, inplace: bool = False) -> None:
        super().__init__(beta, inplace, "channel")

    def forward(self, x: Tensor) -> Tensor:
        """With or without a batch dimension; the same shape out."""
        if is_scripting() and not self.training:
            return x  # a check of the rank would outlive `torch.jit.freeze`
        sharing = _sharing(x, self.spatial)
        return uout(x, self.beta, self.training, self.inplace, sharing)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"beta={self.beta}, inplace={self.inplace}"


class Uout1d(_UoutNd):
    """Uout with one draw per channel of (N, C, L) or (C, L).

    >>> Uout1d(0.2)
    Uout1d(beta=0.2, inplace=False)
    """

    spatial = 1


class Uout2d(_UoutNd):
    """Uout with one draw per channel of (N, C, H, W) or (C, H, W).

    >>> Uout2d(0.3).tau
    0.03
    """

    spatial = 2


class Uout3d(_UoutNd):
    """Uout with one draw per channel of (N, C, D, H, W) or (C, D, H, W).

    >>> Uout3d.like_dropout(0.25)
    Uout3d(beta=1.0, inplace=False)
    """

    spatial = 3


class _GaussianDropoutNd(GaussianDropout):
    __constants__: ClassVar[list[str]] = ["spatial"]
    spatial: int

    def __init__(self, sigma: float = 0.5, inplace: bool = False) -> None:
        super().__init__(sigma, inplace, "channel")

    def forward(self, x: Tensor) -> Tensor:
        """With or without a batch dimension; the same shape out."""
        if is_scripting() and not self.training:
            return x
        sharing = _sharing(x, self.spatial)
        return gaussian_dropout(x, self.sigma, self.training, self.inplace, sharing)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"sigma={self.sigma}, inplace={self.inplace}"


class GaussianDropout1d(_GaussianDropoutNd):
    """Gaussian dropout with one draw per channel of (N, C, L) or (C, L).

    >>> GaussianDropout1d(0.5)
    GaussianDropout1d(sigma=0.5, inplace=False)
    """

    spatial = 1


class GaussianDropout2d(_GaussianDropoutNd):
    """Gaussian dropout with one draw per channel of (N, C, H, W) or (C, H, W).

    >>> GaussianDropout2d.like_dropout(0.5)
    GaussianDropout2d(sigma=1.0, inplace=False)
    """

    spatial = 2


class GaussianDropout3d(_GaussianDropoutNd):
    """Gaussian dropout with one draw per channel of (N, C, D, H, W) or (C, D, H, W).

    >>> GaussianDropout3d(0.5).tau
    0.25
    """

    spatial = 3


def _sharing(x: Tensor, spatial: int) -> str:
    if x.dim() == spatial + 2:
        return "channel"
    if x.dim() == spatial + 1:
        return "sample"  # without a batch, dimension 0 holds the channels
    raise UsageError(
        f"x has {x.dim()} dimensions; pass (N, C, ...) with {spatial + 2} or (C, ...) with "
        f"{spatial + 1}, or use the layer with sharing='channel' for any number"
    )
