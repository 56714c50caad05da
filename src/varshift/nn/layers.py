"""The same as layers, with the conventions of `torch.nn.Dropout`."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from torch import Tensor, nn

from varshift.errors import UsageError
from varshift.nn._check import check_beta, check_number, check_sharing, check_sigma
from varshift.nn.functional import gaussian_dropout, uout
from varshift.theory.noise import beta_of, sigma_of, tau_of, tau_of_beta, tau_of_sigma

__all__ = ["GaussianDropout", "Uout"]


class Uout(nn.Module):
    """x·(1 + r) in training, r ~ U(−β, β); the identity in evaluation. See `functional.uout`.

    β = 0.1 shifts a variance by 300/301 at c = 0. At equal τ Bernoulli, Gaussian and Uout noise
    shift it identically: "variance-stable" is a matter of how much noise, not of its shape.

    Args:
        beta: Half the width of the noise, 0 ≤ β ≤ 1.
        inplace: Write into the input.
        sharing: What shares one draw: "element", "channel" or "sample".

    Raises:
        UsageError: When made with a rate or a sharing that it cannot take.

    >>> Uout(0.2)
    Uout(beta=0.2, inplace=False)
    >>> Uout(0.2, sharing="sample")
    Uout(beta=0.2, inplace=False, sharing='sample')
    """

    # TorchScript compiles every property it is not told to leave.
    __jit_unused_properties__: ClassVar[list[str]] = ["tau"]

    def __init__(self, beta: float = 0.1, inplace: bool = False, sharing: str = "element") -> None:
        super().__init__()
        check_beta(beta)
        check_sharing(sharing)
        self.beta, self.inplace, self.sharing = float(beta), inplace, sharing

    @classmethod
    def like_dropout(cls, drop_p: float, **options: Any) -> Self:
        """As much noise as dropout of rate `drop_p`: the same τ, so the same shift.

        Args:
            drop_p: torch's `p`, at most 0.25, where β is 1.
            options: Further arguments of the layer.

        Raises:
            UsageError: Above 0.25, which no β reaches.

        >>> Uout.like_dropout(0.25)
        Uout(beta=1.0, inplace=False)
        """
        check_number("drop_p", drop_p)
        tau = tau_of(drop_p)
        if drop_p > 0.25:
            raise UsageError(
                f"drop_p is {drop_p} (tau {tau:.4g}), but Uout ends at beta = 1 (tau 1/3, "
                f"drop_p 0.25); pass at most 0.25 or use GaussianDropout.like_dropout({drop_p})"
            )
        return cls(beta_of(tau), **options)

    @property
    def tau(self) -> float:
        """Relative variance of the noise, β²/3."""
        return tau_of_beta(self.beta)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape in, the same shape out."""
        return uout(x, self.beta, self.training, self.inplace, self.sharing)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"beta={self.beta}, inplace={self.inplace}{_shown(self.sharing)}"


class GaussianDropout(nn.Module):
    """x·ξ in training, ξ ~ N(1, σ²); the identity in evaluation. See `functional.gaussian_dropout`.

    Args:
        sigma: Standard deviation of the noise, 0 or more.
        inplace: Write into the input.
        sharing: What shares one draw: "element", "channel" or "sample".

    Raises:
        UsageError: When made with a rate or a sharing that it cannot take.

    >>> GaussianDropout(0.5)
    GaussianDropout(sigma=0.5, inplace=False)
    """

    __jit_unused_properties__: ClassVar[list[str]] = ["tau"]

    def __init__(self, sigma: float = 0.5, inplace: bool = False, sharing: str = "element") -> None:
        super().__init__()
        check_sigma(sigma)
        check_sharing(sharing)
        self.sigma, self.inplace, self.sharing = float(sigma), inplace, sharing

    @classmethod
    def like_dropout(cls, drop_p: float, **options: Any) -> Self:
        """As much noise as dropout of rate `drop_p`: the same τ, so the same shift.

        Args:
            drop_p: torch's `p`, below 1.
            options: Further arguments of the layer.

        Raises:
            UsageError: For a rate outside [0, 1).

        >>> GaussianDropout.like_dropout(0.5)
        GaussianDropout(sigma=1.0, inplace=False)
        """
        check_number("drop_p", drop_p)
        return cls(sigma_of(tau_of(drop_p)), **options)

    @property
    def tau(self) -> float:
        """Relative variance of the noise, σ²."""
        return tau_of_sigma(self.sigma)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape in, the same shape out."""
        return gaussian_dropout(x, self.sigma, self.training, self.inplace, self.sharing)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"sigma={self.sigma}, inplace={self.inplace}{_shown(self.sharing)}"


def _shown(sharing: str) -> str:
    return "" if sharing == "element" else f", sharing={sharing!r}"
