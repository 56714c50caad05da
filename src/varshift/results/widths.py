"""What if the layers were wider: the paper's Δ(p, d), with each site's own figures.

Signal ÷ noise energy of a filter is R = [v + vρ(d·cos²θ − 1)]/(c² + v). Of that, (1 − ρ)v/(c² + v)
does not depend on width; the rest grows with d as long as cos²θ stays what training made it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from varshift.errors import UsageError
from varshift.results.expected import Expected
from varshift.theory.spread import median

__all__ = ["min_width", "widened"]


def min_width(site: Expected, bound: float) -> float:
    """How many times as wide the site's layer must be for median Δ ≥ bound by its direct noise."""
    if not 0 < bound < 1:
        raise UsageError(f"bound is {bound}; pass a Δ between 0 and 1, such as 0.95")
    low, high = 0.0, 1.0
    while median(_local(site, high)) < bound:
        low, high = high, 2 * high
        if high > 1e9:
            return math.inf
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if median(_local(site, middle)) >= bound else (middle, high)
    return high


def widened(site: Expected, times: float) -> Expected:
    """A site whose layer is that many times as wide."""
    if not site.floors:
        return site
    factor = _local(site, times) / _local(site, 1.0)
    delta = site.delta * factor
    middle = median(factor)
    return replace(
        site,
        delta=delta,
        delta_se=None if site.delta_se is None else site.delta_se * factor,
        low=site.low * middle,
        high=site.high * middle,
        var_train=site.var_test / delta,
    )


def _local(site: Expected, times: float) -> Tensor:
    """Δ by the direct noise alone: τ/R of every source, R = floor + times·(R now − floor)."""
    noise = torch.zeros_like(site.signal)
    for source, energy in site.energies.items():
        now = site.signal / energy
        floor = site.floors.get(source, math.nan)
        # Without a floor (placement (a)) width changes nothing.
        wide = now if math.isnan(floor) else _grown(now, floor, times)
        noise = noise + site.taus[source] / wide
    return 1 / (1 + noise)


def _grown(now: Tensor, floor: float, times: float) -> Tensor:
    """Filters below the floor (against the inputs' correlation) gain nothing from width."""
    return torch.where(now > floor, floor + times * (now - floor), now)
