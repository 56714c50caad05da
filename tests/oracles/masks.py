"""What training does, by trying every mask: no formula, only sums over all outcomes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import prod, sqrt

import numpy as np
import torch
from torch import Tensor

Layer = Callable[[Tensor], Tensor]


class Outcomes:
    """The values one noise factor takes, and their probabilities."""

    def __init__(self, values: list[float], chances: list[float]) -> None:
        self.values = torch.tensor(values, dtype=torch.float64)
        self.chances = torch.tensor(chances, dtype=torch.float64)

    def every(self, count: int) -> tuple[Tensor, Tensor]:
        """All combinations of `count` factors, `(K, count)`, with the probability of each."""
        index = torch.tensor(list(itertools.product(range(len(self.values)), repeat=count)))
        return self.values[index], self.chances[index].prod(1)


def dropout(drop_p: float) -> Outcomes:
    return Outcomes([0.0, 1 / (1 - drop_p)], [drop_p, 1 - drop_p])


def gaussian(sigma: float) -> Outcomes:
    """Three Gauss–Hermite points: exact for polynomials of degree 5; a variance has degree 2."""
    points, weights = np.polynomial.hermite_e.hermegauss(3)
    return Outcomes(list(1 + sigma * points), list(weights / weights.sum()))


def uout(beta: float) -> Outcomes:
    """Three Gauss–Legendre points of U(1 − β, 1 + β), exact in the same sense."""
    points, weights = np.polynomial.legendre.leggauss(3)
    return Outcomes(list(1 + beta * points), list(weights / 2))


def mask_shape(x: Tensor, sharing: str) -> tuple[int, ...]:
    """The shape of the factors of one sample; axis 0 of `x` is the sample."""
    rest = tuple(x.shape[1:])
    ones = (1,) * (len(rest) - 1)
    return {"element": rest, "channel": (rest[0], *ones), "sample": (1, *ones)}[sharing]


def noisy_moments(
    layer: Layer, x: Tensor, outcomes: Outcomes, sharing: str, channel_dim: int = 1
) -> tuple[Tensor, Tensor]:
    """Mean and population variance of layer(x·ξ) per channel, ξ enumerated sample by sample.

    The population: every sample, every position, every ξ, weighted by its probability.
    """
    shape = mask_shape(x, sharing)
    factors, chances = outcomes.every(prod(shape))
    first, second = [], []
    for sample in x:
        y = layer(sample * factors.reshape(-1, *shape)).movedim(channel_dim, 1)
        y = y.reshape(*y.shape[:2], -1)
        first.append((chances[:, None, None] * y).sum(0))
        second.append((chances[:, None, None] * y.square()).sum(0))
    mean = torch.stack(first).mean((0, 2))
    return mean, torch.stack(second).mean((0, 2)) - mean.square()


def expected_batch_variance(layer: Layer, x: Tensor, outcomes: Outcomes, sharing: str) -> Tensor:
    """E over all masks of the whole batch of the unbiased variance within it: what is stored."""
    shape = (len(x), *mask_shape(x, sharing))
    factors, chances = outcomes.every(prod(shape))
    y = torch.stack([layer(x * factor.reshape(shape)) for factor in factors])
    rows = y.movedim(2, 1).flatten(2)
    return (chances[:, None] * rows.var(2, correction=1)).sum(0)


def equally_correlated(d: int, mean: float, var: float, rho: float) -> Tensor:
    """2d points in d dimensions with exactly this mean, variance and pairwise correlation."""
    covariance = var * ((1 - rho) * torch.eye(d).double() + rho)
    root = sqrt(d) * torch.linalg.cholesky(covariance)
    return mean + torch.cat([root.T, -root.T])
