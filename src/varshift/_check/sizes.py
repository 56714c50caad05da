"""How bad it is: the shift at every norm that noise reaches, predicted or measured.

With data it is measured. Without, a checkpoint's own statistics and weights say it where they can;
else the norms are settled on the example and theory says what the noise does there. In all three
the noise alone is sized: what stale statistics do is another rule's matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from varshift._check.bands import band_of, least_of, variance_bounds, widened, worse
from varshift._check.passes import Pair, Passes
from varshift._engine import Batch, Session
from varshift._measure.few import Few, few_of
from varshift._measure.shift import site_of
from varshift._predict.predicting import predict
from varshift.results import Blame, Expected, Site
from varshift.results.findings import Basis
from varshift.theory.spread import median

__all__ = [
    *("Size", "drawn_again", "from_checkpoint", "measured", "left_by_blame", "predicted"),
    "unattributed",
]

_NOTHING = 1e-6  # of the variance at test: a signal of rounding


@dataclass(frozen=True)
class Size:
    """The shift at one norm site by noise, and how it was had.

    `low` and `high` bound the severity; `alone` is the severity of each direct source by itself,
    where a closed form says it. `few`: channels that shift where the median does not.
    """

    shift: float
    severity: float
    low: float
    high: float
    how: str
    basis: Basis
    alone: Mapping[str, float]
    few: Few | None = None


def measured(passes: Passes) -> dict[str, Size]:
    """Measured on the batches, norms settled on them. Theory says whose share is which."""
    test, expected = passes.at_test, passes.expected
    found = {}
    for path, met in passes.seen.sites.items():
        if met.train.count and path in test.at:
            site = site_of(path, met.stored, met.train, test.at[path], passes.samples)
            if _finite(site.shift):
                known = expected.get(path)
                size = _measured(site, passes, {} if known is None else _alone(known))
                unsure = passes.real and math.isnan(site.shift_se)  # a few batches, one draw each
                found[path] = replace(size, low=1.0, high=math.inf) if unsure else size
    return found


def drawn_again(passes: Passes) -> dict[str, Size]:
    """Measured on an example that passed many times, for noise anew.

    Few samples say little of the variance that they were drawn from, however often noise is drawn:
    the band holds what normal samples would leave open.
    """
    found = {}
    for path, size in measured(passes).items():
        values = passes.seen.sites[path].train.count // passes.rounds
        low, high = variance_bounds(values)
        found[path] = replace(
            size, low=1 + (size.low - 1) * low, high=1 + (size.high - 1) * high, how="sampled"
        )
    return found


def unattributed(passes: Passes, quiet: Pair | None = None) -> dict[str, Size]:
    """What is left of the shift at every norm with the noise silenced, on the first batch.

    By `quiet`, or else by the passes as they have been silenced.
    """
    silent, test = passes.unexplained if quiet is None else quiet
    found = {}
    for path, tally in silent.at.items():
        if path in test.at:
            site = site_of(path, silent.stored[path], tally, test.at[path], passes.samples)
            if _finite(site.shift):
                found[path] = _measured(site, passes, {})
    return found


def left_by_blame(blame: Blame, passes: Passes) -> dict[str, Size]:
    """The same from an explanation of these batches, which has silenced the noise already.

    Of the variance in training, `rest` stays with every source silenced, beside the signal.
    """
    found = {}
    for path, met in passes.seen.sites.items():
        rest, total = blame.rest.get(path), blame.total.get(path)
        if rest is None or total is None or not met.train.count:
            continue
        signal, error = 1 - total - rest, 2 * rest.se if _finite(rest.se) else 0.0
        if not signal > _NOTHING:
            continue
        shift = signal / (signal + max(rest, _NOTHING - signal))
        ends = (signal / max(signal + end, _NOTHING) for end in (rest + error, rest - error))
        severity = worse(shift)
        low, high = widened(band_of(*ends), severity, 1.0)
        found[path] = Size(shift, severity, low, high, "measured", "data", {})
    return found


def predicted(passes: Passes) -> dict[str, Size]:
    """By theory on the example, norms settled on it."""
    sizes = {path: _expected(site) for path, site in passes.expected.items()}
    return {path: size for path, size in sizes.items() if _finite(size.shift)}


def from_checkpoint(run: Session, first: Batch) -> dict[str, Size]:
    """From stored statistics and weights, by the direct noise alone."""
    found = predict(run.model, example=first.value, forward=run.forward, progress=run.report.inner)
    return {
        path: _stored(site)
        for path, site in found.sites.items()
        if site.energies and site.how != "example" and _finite(site.shift)
    }


def _measured(site: Site, passes: Passes, alone: Mapping[str, float]) -> Size:
    error = 2 * site.shift_se if _finite(site.shift_se) else 0.0
    severity = _severity(site.severity, site.shift)
    least = least_of(site.delta, 2 * site.delta_se)
    band = widened(band_of(site.shift - error, site.shift + error), severity, least)
    basis: Basis = "data" if passes.real else "example"
    few = few_of(site.delta, site.delta_se)
    return Size(site.shift, severity, *band, "measured", basis, alone, few)


def _expected(site: Expected) -> Size:
    shift = site.shift if _finite(site.shift) else _ratio(site.var_test, site.var_train)
    low, high = (site.low, site.high) if _finite(site.low) else (shift, shift)
    severity = _severity(site.severity, shift)
    least = 1.0 if site.delta_se is None else least_of(site.delta, 2 * site.delta_se)
    band = widened(band_of(low, high), severity, least)
    return Size(shift, severity, *band, site.how, "example", _alone(site))


def _stored(site: Expected) -> Size:
    shift = median(site.local())
    low, high = site.local_band or (shift, shift)
    return Size(shift, worse(shift), *band_of(low, high), site.how, "checkpoint", _alone(site))


def _severity(given: float, shift: float) -> float:
    """The median of max(Δ, 1/Δ) has no number where channels stand still at test: Δ = 0."""
    return given if _finite(given) else worse(shift)


def _alone(site: Expected) -> dict[str, float]:
    # Where training lets nothing pass, noise is to be compared with what evaluation lets pass.
    nothing = site.signal <= _NOTHING * site.var_test
    signal = torch.where(nothing, site.var_test, site.signal)
    ratios = {
        source: _ratio(signal, signal + site.taus[source] * energy)
        for source, energy in site.energies.items()
    }
    return {source: worse(ratio) for source, ratio in ratios.items() if _finite(ratio)}


def _ratio(signal: Tensor, whole: Tensor) -> float:
    """Median of signal ÷ whole over channels that have a signal; 0 where noise is all there is."""
    live = signal > 0
    return median((signal / whole).where(live if bool(live.any()) else whole > 0, math.nan))


def _finite(value: float) -> bool:
    return math.isfinite(value)
