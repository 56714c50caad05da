"""What theory expects at one norm site."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from varshift.results.channels import PerChannel
from varshift.results.grading import Grade, grade_of
from varshift.theory.spread import median

__all__ = ["Expected", "How", "noise_var"]

How = Literal[
    "law (a)", "law (b)", "inverted", "moments", "example", "sampled", "carried", "no noise"
]


@dataclass(frozen=True, eq=False, repr=False)
class Expected(PerChannel):
    """What theory expects at one norm site. Channels are (C,) float64.

    Attributes:
        path: module path of the norm.
        low: lower end of the band of `shift`.
        high: upper end of it.
        delta: Δ = var_test / var_train per channel, NaN where dead.
        delta_se: (C,) standard error of `delta`; None without data, NaN below two batches.
        how: "law (a)" and "law (b)" (closed forms on the data), "sampled" (noise that no closed
            form follows to this norm: the variance of a noisy pass), "carried" (no noise reaches it
            directly, only through other norms), "no noise"; without data "inverted" (from the
            stored statistics), "moments" (from weights and Gaussian moments; both corrected by the
            example where it is like the data of training) and "example" (from such an example
            alone).
        var_test: (C,) variance of its input with noise off.
        var_train: (C,) the same with noise on.
        energies: N per source and channel; var_train = (variance without direct noise) + Σ τN.
        taus: τ per source.
        signal: (C,) variance without the noise that reaches the site directly.
        floors: (1 − ρ)v/(c² + v) of each source's input to the weights: what width does not change.
        local_band: without data, the band of the median of `local()`; else None.
        samples: how many samples it was made from; 0 without data.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4)).double()
    >>> data = [torch.randn(512, 4, dtype=torch.float64) for _ in range(8)]
    >>> site = vs.predict(model, data)["1"]
    >>> site.how, round(site.shift, 1), site.low < site.shift < site.high
    ('law (a)', 0.5, True)
    >>> site.taus, site.local().round(decimals=1).tolist()
    ({'0': 1.0}, [0.5, 0.5, 0.5, 0.5])
    """

    path: str
    low: float
    high: float
    delta: Tensor
    how: How
    var_test: Tensor
    var_train: Tensor
    signal: Tensor
    energies: Mapping[str, Tensor]
    taus: Mapping[str, float]
    samples: int
    floors: Mapping[str, float] = field(default_factory=dict)
    delta_se: Tensor | None = None
    local_band: tuple[float, float] | None = None

    @cached_property
    def shift(self) -> float:
        """Median over live channels of Δ: the layer's signed figure."""
        return median(self.delta)

    @cached_property
    def severity(self) -> float:
        """Median over live channels of max(Δ, 1/Δ)."""
        return median(torch.maximum(self.delta, 1 / self.delta))

    @cached_property
    def variances(self) -> dict[str, float]:
        """The variance in training and at test: medians over channels."""
        return {"train": median(self.var_train), "test": median(self.var_test)}

    @property
    def sure(self) -> float:
        """The severity at that end of the band which is nearer to none; as it is without a band."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.shift > 0):
            return self.severity
        nearest = min(max(self.low, 1.0), self.high)
        # Channels that shift both ways have a severity that the band of Δ does not show.
        by = max(nearest, 1 / nearest) / max(self.shift, 1 / self.shift)
        return max(1.0, self.severity * by)

    @property
    def grade(self) -> Grade:
        """How bad the expected shift surely is."""
        return grade_of(self.sure)

    def local(self) -> Tensor:
        """Δ by the direct noise alone: (C,)."""
        return self.signal / (self.signal + noise_var(self.energies, self.taus, self.signal))

    def largest_tau(self, bound: float) -> float:
        """The largest common τ with median severity 1 + τN/signal ≤ bound."""
        noise = sum(self.energies.values(), torch.zeros_like(self.signal))
        live = (self.signal > 0) & (noise > 0)
        if not bool(live.any()):
            return 1e12
        return (bound - 1) / float((noise / self.signal)[live].quantile(0.5))


def noise_var(energies: Mapping[str, Tensor], taus: Mapping[str, float], like: Tensor) -> Tensor:
    """Σ τN over the sources, shaped as `like` where there are none."""
    return sum((taus[source] * n for source, n in energies.items()), torch.zeros_like(like))
