"""Mean-one noise as functions; out of training they return their input itself."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.jit import is_scripting  # type: ignore[attr-defined]

from varshift.errors import UsageError
from varshift.nn._check import check_beta, check_sharing, check_sigma

__all__ = ["gaussian_dropout", "uout"]

# `sharing` is annotated `str`, not `Literal`, for TorchScript, which also skips the checks.


def uout(
    x: Tensor,
    beta: float = 0.1,
    training: bool = True,
    inplace: bool = False,
    sharing: str = "element",
) -> Tensor:
    """x·(1 + r), r ~ U(−β, β), 0 ≤ β ≤ 1; τ = β²/3. [li2019disharmony]

    At c = 0 the variance ratio is 3/(3 + β²): 300/301 for β = 0.1. (A note that ascribes this
    figure to β = 0.01 has a slip: 0.01 gives 30000/30001.) At equal τ Bernoulli, Gaussian and Uout
    noise shift a variance identically: "variance-stable" is a matter of how much noise there is,
    not of its shape. β = 0.1 is as little noise as drop_p = 0.0033.

    Args:
        x: Floating point, any shape; in half precision the noise is drawn in float32 and rounded.
        beta: Half the width of the noise.
        training: False returns `x` itself.
        inplace: Write into `x`.
        sharing: What shares one draw. "element": nothing. "channel": the values of one sample and
            channel, with `x` of shape (N, C, …). "sample": those of one sample, (N, …).

    Raises:
        UsageError: For a rate, a sharing or a tensor that it cannot take.

    >>> uout(torch.ones(3), beta=0.5, training=False).tolist()
    [1.0, 1.0, 1.0]
    >>> noisy = uout(torch.ones(2, 3, 8, 8), beta=0.5, sharing="channel")
    >>> bool((noisy == noisy[:, :, :1, :1]).all())
    True
    """
    if not is_scripting():
        check_beta(beta)
        check_sharing(sharing)
    if not training or beta == 0:
        return x
    blank = _blank(x, sharing)
    # Not `uniform_(1 - beta, 1 + beta)`: `vmap` refuses to fill in place what it does not batch,
    # such as one input for an ensemble of weights.
    factor = torch.rand_like(blank, dtype=_drawn_in(x)).mul_(2 * beta).add_(1 - beta)
    return _times(x, factor, inplace)


def gaussian_dropout(
    x: Tensor,
    sigma: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    sharing: str = "element",
) -> Tensor:
    """x·ξ, ξ ~ N(1, σ²); τ = σ². [srivastava2014dropout, sec. 10]

    As large as dropout at σ² = drop_p/(1 − drop_p), and then its shift is the same.

    Args:
        x: Floating point, any shape; in half precision the noise is drawn in float32 and rounded.
        sigma: Standard deviation of the noise. A factor may be negative, often so for σ near 1.
        training: False returns `x` itself.
        inplace: Write into `x`.
        sharing: What shares one draw: "element", "channel" or "sample", as for `uout`.

    Raises:
        UsageError: For a rate, a sharing or a tensor that it cannot take.

    >>> gaussian_dropout(torch.ones(2), sigma=0.0).tolist()
    [1.0, 1.0]
    """
    if not is_scripting():
        check_sigma(sigma)
        check_sharing(sharing)
    if not training or sigma == 0:
        return x
    factor = torch.randn_like(_blank(x, sharing), dtype=_drawn_in(x)).mul_(sigma).add_(1.0)
    return _times(x, factor, inplace)


def _blank(x: Tensor, sharing: str) -> Tensor:
    """A tensor with one value per draw, that broadcasts against `x`; its values are not read."""
    if not x.is_floating_point():
        raise UsageError(f"x is {x.dtype}; pass a floating-point tensor")
    if sharing == "element":
        return x
    kept = 2 if sharing == "channel" else 1
    if x.dim() < kept:
        raise UsageError(
            f"x has {x.dim()} dimensions; sharing {sharing} needs at least {kept}, samples first"
        )
    return x.new_empty(list(x.shape[:kept]) + [1] * (x.dim() - kept))


def _drawn_in(x: Tensor) -> torch.dtype:
    """Half precision has 8 or 11 bits of [0, 1): drawn in it the mean is not one."""
    if x.dtype == torch.bfloat16 or x.dtype == torch.float16:
        return torch.float32
    return x.dtype


def _times(x: Tensor, factor: Tensor, inplace: bool) -> Tensor:
    """`x` times what is not differentiated, so that autograd keeps the factor and not `x`."""
    if factor.dtype != x.dtype:
        factor = factor.to(x.dtype)
    return x.mul_(factor) if inplace else x * factor
