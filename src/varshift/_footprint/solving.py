"""All channels of all norms as one weighted, robust regression. Numbers only.

The common factor 1 + δ of a norm is a column of ones with a prior, which is projected out: what is
left of a column is its deviation from the (shrunken) weighted mean of the norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from varshift._footprint.regression import HUBER, Rows

__all__ = ["Solved", "solve"]

_ROUNDS = 20
_STANDS = 1e-10  # relative, of τ between two rounds
_RIDGE = 1e-12  # keeps a column of nothing solvable


@dataclass(frozen=True, eq=False)
class Solved:
    """τ (K,), and how each follows the gap of every channel (K, R) and each norm's drift (K,)."""

    taus: Tensor
    influence: list[Tensor]
    on_drift: list[Tensor]


def solve(rows: Sequence[Rows]) -> Solved:
    """Weighted least squares, reweighted by Huber's rule until it stands."""
    joined = _Joined.of(rows)
    robust, taus = joined.weight, torch.zeros(joined.places, dtype=torch.float64, device="cpu")
    for _ in range(_ROUNDS):
        last, taus = taus, joined.least_squares(robust)
        if len(taus) == 0 or float((taus - last).abs().max()) < _STANDS * float(taus.abs().max()):
            break
        robust = joined.tamed(taus)
    return joined.influence(robust, taus)


@dataclass(frozen=True, eq=False)
class _Joined:
    """The R rows of all N norms below each other: an operation for all, not one for each norm.

    `columns` (R, K + 1) the levers and the gap, `tilt` (R, K) of norms whose drift is not known,
    `weight` (R,), `norm` (R,) the number of a row's norm, `sizes` rows of each; `prior` (N,) how
    well a norm's drift is known, in weights, and `drifts` (N,) 0 where it is known to be none, else
    1.
    """

    columns: Tensor
    tilt: Tensor
    weight: Tensor
    norm: Tensor
    sizes: list[int]
    prior: Tensor
    drifts: Tensor

    @classmethod
    def of(cls, rows: Sequence[Rows]) -> _Joined:
        sizes = [len(each.gap) for each in rows]
        known = [each.drift.error for each in rows]
        errors = torch.tensor(known, dtype=torch.float64, device="cpu")
        drifts = (errors != 0).double()
        counts = torch.tensor(sizes, device="cpu")
        norm = torch.arange(len(rows), device="cpu").repeat_interleave(counts)
        columns = [torch.cat([each.lever, each.gap[:, None]], 1) for each in rows]
        return cls(
            torch.cat(columns),
            torch.where(drifts[norm, None] == 0, 0.0, torch.cat([each.tilt for each in rows])),
            torch.cat([each.weight for each in rows]),
            norm,
            sizes,
            torch.where(errors != 0, errors**-2, 0.0),
            drifts,
        )

    @property
    def places(self) -> int:
        """K."""
        return self.columns.shape[1] - 1

    @cached_property
    def apart(self) -> Tensor:
        """The columns centred by the weights that nothing has tamed."""
        return self.centred(self.weight)

    def sums(self, values: Tensor) -> Tensor:
        """Of rows (R, ...), for each norm (N, ...)."""
        return values.new_zeros(len(self.sizes), *values.shape[1:]).index_add_(0, self.norm, values)

    def centred(self, weight: Tensor) -> Tensor:
        """The columns, less the mean of their norm where it may have drifted."""
        share = self.drifts / (self.sums(weight) + self.prior)
        means = self.sums(weight[:, None] * self.columns) * share[:, None]
        return self.columns - means[self.norm]

    def least_squares(self, weight: Tensor) -> Tensor:
        """τ (K,)."""
        matrix, right = self.normal(weight)
        # Only where the pattern is evidence, and levers hardly differ, do they tilt.
        found: Tensor = torch.linalg.solve(matrix, right - weight @ self.tilt)
        return found

    def normal(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The matrix (K, K) and the right side (K,)."""
        both = self.columns[:, :-1].T @ (weight[:, None] * self.centred(weight))
        matrix = both[:, :-1]
        size = matrix.diagonal().max().clamp(min=1e-300) if self.places else 0.0
        ridge = _RIDGE * size * torch.eye(self.places, dtype=torch.float64, device="cpu")
        return matrix + ridge, both[:, -1]

    def tamed(self, taus: Tensor) -> Tensor:
        """The weights (R,), less where a channel deviates far beyond the others of its norm."""
        rest = (self.apart[:, -1] - self.apart[:, :-1] @ taus).abs() * self.weight.sqrt()
        middle = torch.stack([each.median() for each in rest.split(self.sizes)])
        scale = (middle / 0.6745 * HUBER)[self.norm]
        tamed = self.weight * (scale / torch.maximum(rest, scale))
        return torch.where(scale == 0, self.weight, tamed)

    def influence(self, weight: Tensor, taus: Tensor) -> Solved:
        """With how the solution follows each row."""
        inverse = torch.linalg.inv(self.normal(weight)[0])
        own = (weight[:, None] * self.centred(weight)[:, :-1]) @ inverse  # (R, K)
        return Solved(taus, [each.T for each in own.split(self.sizes)], list(self.sums(own)))
