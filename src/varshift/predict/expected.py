"""What theory expects at one norm site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Expected", "How"]

How = Literal["law (a)", "law (b)", "inverted", "moments", "sampled", "carried", "no noise"]


@dataclass(frozen=True, eq=False)
class Expected:
    """What theory expects at one norm site. Channels are (C,) float64.

    Attributes:
        shift: median over live channels of Δ; `low` and `high` are its band.
        severity: median over live channels of max(Δ, 1/Δ).
        delta: Δ = var_test / var_train per channel, NaN where dead.
        how: "law (a)" and "law (b)" (closed forms on the data), "sampled" (noise that no closed
            form follows to this norm: the variance of a noisy pass), "carried" (no noise reaches it
            directly, only through other norms), "no noise"; without data "inverted" (from the
            stored statistics) and "moments" (from weights and Gaussian moments).
        var_test, var_train: (C,).
        energies: N per source and channel; var_train = (variance without direct noise) + Σ τN.
        taus: τ per source.
        signal: (C,) variance without the noise that reaches the site directly.
        floors: (1 − ρ)v/(c² + v) of each source's input to the weights: what width does not change.
        samples: how many samples it was made from; 0 without data.
    """

    path: str
    shift: float
    low: float
    high: float
    severity: float
    delta: Tensor
    how: How
    var_test: Tensor
    var_train: Tensor
    signal: Tensor
    energies: Mapping[str, Tensor]
    taus: Mapping[str, float]
    samples: int
    floors: Mapping[str, float] = field(default_factory=dict)

    def local(self, scale: float = 1.0) -> Tensor:
        """Δ by the direct noise alone, every τ multiplied by `scale`: (C,)."""
        noise = sum(
            (self.taus[s] * n for s, n in self.energies.items()), torch.zeros_like(self.signal)
        )
        return self.signal / (self.signal + scale * noise)

    def largest_tau(self, bound: float) -> float:
        """The largest common τ with median severity ≤ bound, by bisection: it grows with τ."""
        noise = sum(self.energies.values(), torch.zeros_like(self.signal))
        live = (self.signal > 0) & (noise > 0)
        if not bool(live.any()):
            return 1e12
        ratio = (noise / self.signal)[live]

        def severe(tau: float) -> float:
            return float((1 + tau * ratio).quantile(0.5))

        low, high = 0.0, 1.0
        while severe(high) <= bound and high < 1e12:
            low, high = high, 2 * high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if severe(middle) <= bound else (low, middle)
        return low
