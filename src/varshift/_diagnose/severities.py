"""How severe a cause is at a place, in the one measure that verdict, order and grade share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift.results import Explanation, Factors, Figure, Site
from varshift.results.explanation import Cause
from varshift.results.grading import severity_of
from varshift.theory.spread import median

__all__ = ["Extent", "extent_at", "off"]

_MEDIAN = 1.2533  # errors of a mean that a median has, of normal values

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
        return Extent(means, _severity(means), mean_shift=means)
    if cause == "other-norms" and others is not None and place in others.displacement:
        size = others.displacement[place]
        return Extent(size, _severity(size), mean_shift=others.mean_shift[place])
    size = Figure(explanation.scores[cause], math.nan)  # two errors are off already
    return Extent(size, _severity(size))


def _of_site(site: Factors, cause: Cause) -> Extent:
    """Of the median channel where one ratio of variances is the cause's doing, else of all."""
    size, means = site.displacement[cause], site.mean_shift.get(cause, _UNKNOWN)
    name = _factor(site, cause)
    if name is None:
        return Extent(size, _severity(size), mean_shift=means)
    shift: Figure = getattr(site, name)
    ratio = site.channels[name][site.live]
    half = 0.5 * math.log(_median(ratio))
    whole = math.hypot(half, means.value)
    errors = half * 0.5 * _MEDIAN * shift.se / shift.value, means.value * means.se
    error = math.hypot(*errors) / whole if whole else 0.0
    return Extent(size, _severity(Figure(whole, error)), shift, means)


def _factor(site: Factors, cause: Cause) -> str | None:
    """The factor that is a cause's doing alone; None where no one ratio of variances is."""
    if cause == "noise":
        # Where something else tells training from evaluation, both hold that as well.
        return None if "unattributed" in site.displacement else "alone" if site.apart else "noise"
    return {"staleness": "age", "data": "data"}.get(cause)


def _severity(displacement: Figure) -> Figure:
    """As a severity; two errors of either are the same distance."""
    value, error = severity_of(displacement.value), displacement.se
    if not math.isfinite(error):
        return Figure(value, math.nan)
    return Figure(value, (value - severity_of(displacement.value - 2 * error)) / 2)


def off(site: Factors, measured: Site) -> Figure:
    """The severity of what a norm has stored against evaluation of the training data.

    That is what evaluation suffers, whatever the cause, other test data left out: the median over
    channels of the variance, or of the means where they are further away.
    """
    total = (site.channels["total"] / site.channels["data"])[site.live]
    severity = _median(total)
    variance = Figure(severity, _MEDIAN * severity * site.total.se / site.total.value)
    live = measured.live & (measured.stored.var > 0)
    unit = measured.stored.var[live].sqrt()
    means = (measured.test.mean - measured.stored.mean)[live].abs() / unit
    distance = severity_of(median(means)) if len(means) else 1.0
    return max(variance, Figure(distance, variance.se))


def _median(ratio: Tensor) -> float:
    """Median over channels of max(r, 1/r); 1 where none is live."""
    return median(torch.maximum(ratio, 1 / ratio)) if len(ratio) else 1.0
