"""Placement (b) through a linear layer: the noise energy N of var_train = var_test + τ·N."""

from __future__ import annotations

import torch
from torch import Tensor

from varshift._counting import counted
from varshift.errors import UsageError
from varshift.theory import _check
from varshift.theory.energy import mean_over_samples
from varshift.theory.noise import Sharing, check_sharing

__all__ = ["linear_noise_energy", "linear_noise_energy_from_second"]

_ROWS_AT_ONCE = 8192


def linear_noise_energy(x: Tensor, weight: Tensor, sharing: Sharing = "element") -> Tensor:
    """N per output of y = Wx: Σᵢ wᵢ² E[xᵢ²], or E[(Wx)²] where one factor meets the whole vector.

    `x` is `(N, *, in)`, the noise-free input of the layer, and `weight` `(out, in)`; the result is
    `(out,)`, float64. E runs over all samples and positions of `x`; `train_var_after` adds τ·N to
    the population variance of the noise-free output over the same. `channel` equals `element`:
    each input feature has its own factor, and an output sees each feature once. Where one factor
    covers a whole row (DropPath, or Dropout1d whose channels are the rows), ask for `sample`. The
    bias is added after the noise and does not count. Raises UsageError where the shapes do not fit.

    >>> x, weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 1.0]])
    >>> linear_noise_energy(x, weight).item(), linear_noise_energy(x, weight, "sample").item()
    (5.0, 9.0)
    """
    check_sharing(sharing)
    if x.dim() < 2 or x.numel() == 0:
        raise UsageError(f"x has shape {tuple(x.shape)}; pass a batch of shape (N, *, in)")
    _check_features(x.shape[-1], weight)
    wide = weight.detach().to(torch.float64).T

    def energy(rows: Tensor) -> Tensor:
        if sharing == "sample":
            return (rows @ wide).square().mean(0)
        return linear_noise_energy_from_second(rows.square().mean(0), weight)

    return mean_over_samples(energy, x.flatten(0, -2), _ROWS_AT_ONCE)


def linear_noise_energy_from_second(second: Tensor, weight: Tensor) -> Tensor:
    """N per output from second moments alone: Σᵢ wᵢ² E[xᵢ²], element sharing.

    `second` is E[x²], `(in,)`: c² + v, the mean included. Without the c² a post-ReLU input loses a
    third of its energy. The result is `(out,)`, float64.

    Raises:
        UsageError: shapes that do not fit, or negative entries.

    >>> linear_noise_energy_from_second(torch.tensor([1.0, 4.0]), torch.tensor([[1.0, 3.0]])).item()
    37.0
    """
    if second.dim() != 1:
        raise UsageError(f"second has shape {tuple(second.shape)}; pass E[x²] of shape (in,)")
    _check_features(len(second), weight)
    _check.variance("second", second)
    return weight.detach().to(torch.float64).square() @ second.detach().to(torch.float64)


def _check_features(features: int, weight: Tensor) -> None:
    if weight.dim() != 2 or weight.shape[1] != features:
        raise UsageError(
            f"weight has shape {tuple(weight.shape)} but the input has "
            f"{counted(features, 'feature')}; pass a weight of shape (out, {features})"
        )
