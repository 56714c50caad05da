"""How severe a cause is at a place, in the one measure that verdict, order and grade share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._explain.verdict import LEAST
from varshift._measure.staleness import NOTHING
from varshift.results import Explanation, Factors, Figure, Site
from varshift.results.explanation import Cause
from varshift.theory.spread import median

__all__ = ["Extent", "extent_at", "off"]

_MEDIAN = 1.2533  # errors of a mean that a median has, of normal values
_MOST = 700.0  # of an exponent: what a float still holds
_FURTHER = 2.0  # logarithms: of normal scatter the root mean square is 1.5 times the median

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
    severity = _larger(_of_variance(site.channels[name], shift), _of_means(means))
    overall = _of_displacement(size, means)
    if _stored_as_nothing(site):
        severity = _larger(severity, overall)
    return Extent(size, _with_few(severity, overall), shift, means)


def _factor(site: Factors, cause: Cause) -> str | None:
    """The factor that is a cause's doing alone; None where no one ratio of variances is."""
    if cause == "noise":
        # Where something else tells training from evaluation, both hold that as well.
        return None if "unattributed" in site.displacement else "alone" if site.apart else "noise"
    return {"staleness": "age", "data": "data"}.get(cause)


def _of_variance(ratio: Tensor, shift: Figure) -> Figure:
    """Median over channels of max(r, 1/r), with the error of the mean ratio; 1 where none lives."""
    severity = median(torch.maximum(ratio, 1 / ratio))
    if math.isnan(severity):
        return Figure(1.0, math.nan)
    return Figure(severity, _MEDIAN * severity * shift.se / shift.value if shift else math.nan)


def _of_means(means: Figure) -> Figure:
    """As `check` counts them: a tenth of a deviation is as bad as a tenth of a variance."""
    return Figure(1 + means.value, means.se)


def _of_displacement(size: Figure, means: Figure) -> Figure:
    """What a displacement leaves for the variance, of which half the log ratio is in it."""
    square = size.value**2 - (means.value**2 if math.isfinite(means.value) else 0.0)
    half = math.sqrt(max(square, 0.0))
    severity = math.exp(min(2 * half, _MOST))
    # So that two errors less is what two errors less of the displacement leave: no less than 1.
    least = math.exp(min(2 * max(half - 2 * size.se, 0.0), _MOST))
    return Figure(severity, (severity - least) / 2)


def _larger(one: Figure, other: Figure) -> Figure:
    return other if other > one else one


def _with_few(median: Figure, overall: Figure) -> Figure:
    """The median over channels, or the root mean square where fewer than half shift much more."""
    least = max(2 * LEAST, _FURTHER * math.log(max(median.value, 1.0)))
    return overall if math.log(max(overall.value, 1.0)) > least else median


def _stored_as_nothing(site: Factors) -> bool:
    """Whether something arrives in channels whose stored variance is 0, or next to it.

    No median tells of a few such channels, and yet evaluation divides them by little but √eps.
    """
    return bool((site.channels["staleness"] > 1 / NOTHING).any())


def off(site: Factors, measured: Site, eps: float) -> Figure:
    """The severity of what a norm has stored against evaluation of the training data.

    That is what evaluation suffers, whatever the cause, other test data left out: the median over
    channels of the variance, or of the means where they are further away; the root mean square of
    both where fewer channels than half are much further off, or have stored next to nothing.
    """
    stored, test = measured.stored, measured.test
    unit = (stored.var + eps).clamp(min=1e-300)
    distances = (test.mean - stored.mean).abs() / unit.sqrt()
    means = median(distances, measured.live)
    distance = Figure(0.0 if math.isnan(means) else means, site.total.se)
    severity = _larger(
        _of_variance(site.channels["total"] / site.channels["data"], site.total),
        _of_means(distance),
    )
    if not eps or not _stored_as_nothing(site):
        moved = float(distances[site.live].square().mean().sqrt()) if bool(site.live.any()) else 0.0
        far = Figure(min(moved, site.off.value), site.off.se)
        return _with_few(severity, _larger(_of_displacement(site.off, far), _of_means(far)))
    reached = ~site.channels["total"].isnan()
    square = ((test.var + eps) / unit)[reached].log().square().mean() / 4
    return _larger(severity, _of_displacement(Figure(float(square.sqrt()), math.nan), distance))
