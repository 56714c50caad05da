"""How severe a cause is at a place, in the one measure that grades are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from varshift.results import Factors, Figure, Site
from varshift.results.explanation import Cause
from varshift.results.grading import severity_of
from varshift.theory.spread import median

__all__ = ["Extent", "displaced", "moved", "of_site", "off"]

# By cause, the factor that is its doing alone; of the others no one ratio of variances is.
_FACTORS: dict[Cause, str] = {"noise": "alone", "staleness": "age", "data": "data"}
_MEDIAN = 1.2533  # errors of a mean that a median has, of normal values

_UNKNOWN = Figure(math.nan, math.nan)


@dataclass(frozen=True)
class Extent:
    """A severity, the ratio of variances behind it, and how far means move, in deviations."""

    severity: Figure
    shift: Figure = _UNKNOWN
    mean_shift: Figure = _UNKNOWN


def of_site(site: Factors, cause: Cause) -> Extent:
    """What a cause does at a norm site."""
    means = site.mean_shift.get(cause, _UNKNOWN)
    # Where something else tells training from evaluation, `alone` holds that as well.
    mixed = cause == "noise" and "unattributed" in site.displacement
    name = None if mixed else _FACTORS.get(cause)
    if name is None:
        return Extent(displaced(site.displacement[cause]).severity, _UNKNOWN, means)
    ratio: Figure = getattr(site, name)
    severity = _median(site.channels[name][site.live])
    variance = Figure(severity, _MEDIAN * severity * ratio.se / ratio.value)
    return Extent(_surer(variance, moved(means).severity), ratio, means)


def displaced(displacement: Figure) -> Extent:
    """Of a displacement in deviations: e^{2d}."""
    severity = severity_of(displacement.value)
    return Extent(Figure(severity, 2 * severity * displacement.se))


def moved(means: Figure) -> Extent:
    """Of means alone: a mean off by a tenth of a deviation counts as a variance off by a tenth."""
    return Extent(Figure(1 + means.value, means.se), mean_shift=means)


def off(site: Factors, measured: Site) -> Figure:
    """The severity of what a norm has stored against evaluation of the training data.

    That is what evaluation suffers, whatever the cause, other test data left out.
    """
    total = site.channels["total"] / site.channels["data"]
    severity = _median(total[site.live])
    variance = Figure(severity, _MEDIAN * severity * site.total.se / site.total.value)
    live = measured.live & (measured.stored.var > 0)
    unit = measured.stored.var[live].sqrt()
    means = (measured.test.mean - measured.stored.mean)[live].abs() / unit
    distance = median(means) if len(means) else 0.0
    return max(variance, Figure(1 + distance, variance.se))


def _median(ratio: torch.Tensor) -> float:
    return median(torch.maximum(ratio, 1 / ratio)) if len(ratio) else math.nan


def _surer(one: Figure, other: Figure) -> Figure:
    """The one that is surely larger."""

    def sure(figure: Figure) -> float:
        found = figure.value - 2 * (figure.se if math.isfinite(figure.se) else 0.0)
        return found if math.isfinite(found) else -math.inf

    return max(one, other, key=sure)
