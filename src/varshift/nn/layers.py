"""The same as layers, with the conventions of `torch.nn.Dropout`."""

from __future__ import annotations

from torch import Tensor, nn

from varshift.nn.functional import gaussian_dropout, uout

__all__ = ["GaussianDropout", "Uout"]


class Uout(nn.Module):
    """x·(1 + r) in training, r ~ U(−β, β); the identity in evaluation. See `functional.uout`.

    >>> Uout(0.2)
    Uout(beta=0.2, inplace=False)
    """

    def __init__(self, beta: float = 0.1, inplace: bool = False) -> None:
        super().__init__()
        self.beta, self.inplace = beta, inplace

    def forward(self, x: Tensor) -> Tensor:
        """Any shape in, the same shape out."""
        return uout(x, self.beta, self.training, self.inplace)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"beta={self.beta}, inplace={self.inplace}"


class GaussianDropout(nn.Module):
    """x·ξ in training, ξ ~ N(1, σ²); the identity in evaluation. See `functional.gaussian_dropout`.

    >>> GaussianDropout(0.5)
    GaussianDropout(sigma=0.5, inplace=False)
    """

    def __init__(self, sigma: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.sigma, self.inplace = sigma, inplace

    def forward(self, x: Tensor) -> Tensor:
        """Any shape in, the same shape out."""
        return gaussian_dropout(x, self.sigma, self.training, self.inplace)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"sigma={self.sigma}, inplace={self.inplace}"
