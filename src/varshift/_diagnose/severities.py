"""How severe a cause is at a place, in the one measure that verdict, order and grade share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift.results import Explanation, Factors, Figure, Site
from varshift.results.explanation import Cause
from varshift.theory.spread import median

__all__ = ["Extent", "extent_at", "off"]

_MEDIAN = 1.2533  # errors of a mean that a median has, of normal values
_MOST = 700.0  # of an exponent: what a float still holds

_UNKNOWN = Figure(math.nan, math.nan)


@dataclass(frozen=True)
class Extent:
    """What a cause does at a place.

    Attributes:
        displacement: in deviations.
        severity: the same as a severity.
        shift: the ratio of variances in it, where one ratio is its doing.
        mean_shift: how far means move, in deviations.
    """

    displacement: Figure
    severity: Figure
    shift: Figure = _UNKNOWN
    mean_shift: Figure = _UNKNOWN


def extent_at(explanation: Explanation, place: str, cause: Cause) -> Extent:
    """What a cause does at a norm site or an output."""
    if place in explanation.factors:
        return _of_site(explanation.factors[place], cause)
    others = explanation.other_norms
    if cause == "noise":
        means = explanation.outputs[place].mean_shift
        return Extent(means, _of_means(means), mean_shift=means)
    if cause == "other-norms" and others is not None and place in others.displacement:
        size, means = others.displacement[place], others.mean_shift[place]
        severity = _larger(_of_displacement(size, means), _of_means(means))
        return Extent(size, severity, mean_shift=means)
    size = Figure(explanation.scores[cause], math.nan)  # two errors are off already
    return Extent(size, _of_displacement(size, Figure(0.0, 0.0)))


def _of_site(site: Factors, cause: Cause) -> Extent:
    """Of the variance or of the means, whichever is further away."""
    size, means = site.displacement[cause], site.mean_shift.get(cause, _UNKNOWN)
    name = _factor(site, cause)
    if name is None:
        severity = _larger(_of_displacement(size, means), _of_means(means))
        return Extent(size, severity, mean_shift=means)
    shift: Figure = getattr(site, name)
    severity = _of_variance(site.channels[name][site.live], shift)
    return Extent(size, _larger(severity, _of_means(means)), shift, means)


def _factor(site: Factors, cause: Cause) -> str | None:
    """The factor that is a cause's doing alone; None where no one ratio of variances is."""
    if cause == "noise":
        # Where something else tells training from evaluation, both hold that as well.
        return None if "unattributed" in site.displacement else "alone" if site.apart else "noise"
    return {"staleness": "age", "data": "data"}.get(cause)


def _of_variance(ratio: Tensor, shift: Figure) -> Figure:
    """Median over channels of max(r, 1/r), with the error of the mean ratio; 1 where none lives."""
    severity = median(torch.maximum(ratio, 1 / ratio)) if len(ratio) else 1.0
    return Figure(severity, _MEDIAN * severity * shift.se / shift.value)


def _of_means(means: Figure) -> Figure:
    """As `check` counts them: a tenth of a deviation is as bad as a tenth of a variance."""
    return Figure(1 + means.value, means.se)


def _of_displacement(size: Figure, means: Figure) -> Figure:
    """What a displacement leaves for the variance, of which half the log ratio is in it."""
    square = size.value**2 - (means.value**2 if math.isfinite(means.value) else 0.0)
    severity = math.exp(min(2 * math.sqrt(max(square, 0.0)), _MOST))
    return Figure(severity, 2 * severity * size.se)


def _larger(one: Figure, other: Figure) -> Figure:
    return other if other > one else one


def off(site: Factors, measured: Site) -> Figure:
    """The severity of what a norm has stored against evaluation of the training data.

    That is what evaluation suffers, whatever the cause, other test data left out: the median over
    channels of the variance, or of the means where they are further away.
    """
    total = (site.channels["total"] / site.channels["data"])[site.live]
    live = measured.live & (measured.stored.var > 0)
    unit = measured.stored.var[live].sqrt()
    means = (measured.test.mean - measured.stored.mean)[live].abs() / unit
    variance = _of_variance(total, site.total)
    distance = median(means) if len(means) else 0.0
    return _larger(variance, _of_means(Figure(distance, site.total.se)))
