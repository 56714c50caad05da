"""How far stored statistics are from what arrives: the size of every finding on statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from varshift._check.bands import band_of, least_of, widened
from varshift._check.passes import Met
from varshift._engine import Tally
from varshift._measure.errors import Halved
from varshift._measure.few import Few, few_of
from varshift._measure.staleness import NOTHING, inherited
from varshift.results import Norm, Statistics
from varshift.theory.halves import student_factor
from varshift.theory.jackknife import jackknife_error
from varshift.theory.spread import median

__all__ = [
    *("Stale", "against", "banded", "by_means", "error_of_mean", "left_over", "misfit"),
    *("of_one_batch", "started_elsewhere", "unfit"),
]

_HALF = 0.6745  # standard deviations within which half of all normal values lie
_LEAST = 1e-4  # weight of the initial 1 that is not worth a look
_FLOOR = 1e-9  # of a ratio in a band: stored variances can be off by more than noise makes them
_ROUNDING = 1e-5  # of an average kept in float32, relative
_BELOW = 1e-3  # relative: below the initial 1's share by more than any rounding


@dataclass(frozen=True)
class Stale:
    """How far what arrives is from what is stored, the median over channels, with its band.

    `shift` is the variance that arrives ÷ the stored one, `moved` how far the mean lies from the
    stored one, in stored deviations. The severity is max(shift, 1/shift), or 1 + `moved` where that
    is surely more: a variance off by a tenth and a mean off by a tenth of a deviation count alike.
    `typical`: not of what is stored, but of what a running average stores as a rule. `of_means`:
    the severity is 1 + `moved`. `lost`: channels that have stored next to nothing of what arrives,
    of which no median tells: the root mean square over channels does. `overall` is that of the
    variances, with the norm's eps. `few`: channels that are off where the median is not.
    """

    shift: float
    severity: float
    low: float | None
    high: float | None
    moved: float = 0.0
    typical: bool = False
    of_means: bool = False
    lost: int = 0
    overall: float = 1.0
    few: Few | None = None

    @property
    def least(self) -> float:
        """The lower end of its band."""
        return self.severity if self.low is None else self.low


def against(tally: Tally, stored: Tensor, eps: float, share: float = 0.0) -> Stale | None:
    """What arrived over what is stored, `eps` where that is 0; None where nothing did.

    `share`: of the scatter between batches, what is stored keeps so much.
    """
    if tally.count < 2:
        return None
    live = tally.total().var() > 0
    divided = torch.where(live, (tally.within() + eps) / (stored + eps), math.nan)
    stored = torch.where(stored > 0, stored, eps)
    ratio = torch.where(live, tally.within() / stored, math.nan)
    severity, shift = median(torch.maximum(ratio, 1 / ratio)), median(ratio)
    if not math.isfinite(severity):
        return None
    lost = int((divided > 1 / NOTHING).sum())
    overall = math.exp(float(divided.log().square().nanmean().sqrt()))
    sized = Stale(shift, severity, None, None, overall=overall)
    if lost:
        return replace(sized, severity=max(severity, overall), lost=lost)
    halved, errors = Halved.of(tally).moderate(live)
    drawn = halved.error_of_median(lambda ratios: ratios, ratio)
    scatter = max(shift * _by_batch(tally, live), math.sqrt(_batches(tally)) * drawn)
    error = 2 * math.hypot(drawn, math.sqrt(share) * scatter)
    least = least_of(ratio, 2 * _by_channel(ratio * errors, stored, tally, share))
    return banded(sized, error, least)


def banded(sized: Stale, error: float, least: float) -> Stale:
    """The same with its band: `error` to both sides of the shift; `least` is of the channels."""
    if not math.isfinite(error):  # so little was drawn that nothing is sure
        return replace(sized, low=1.0, high=math.inf)
    band = band_of(sized.shift - error, sized.shift + error, _FLOOR)
    low, high = widened(band, sized.severity, least)
    return replace(sized, low=low, high=high)


def _by_channel(drawn: Tensor, divided: Tensor, tally: Tally, share: float) -> Tensor:
    """Errors of ratios to what is `divided` by, (C,): of what was drawn, and of what is stored.

    A running average keeps a share of the scatter between batches. Few batches show that badly: it
    is no less than what `drawn`, the error of their mean, makes it.
    """
    scatter = tally.scattered[1].nan_to_num(0.0).sqrt() / divided
    least = math.sqrt(_batches(tally)) * drawn
    return torch.hypot(drawn, math.sqrt(share) * torch.fmax(scatter, least))


def _batches(tally: Tally) -> int:
    return sum(stretch.batches for stretch in tally.series)


def _by_batch(tally: Tally, live: Tensor) -> float:
    """The relative deviation over batches of the median over channels, which may move together."""
    within = torch.where(live, tally.within(), math.nan)
    medians = [median((stretch.var / within).log()) for stretch in tally.series]
    counts = [stretch.batches for stretch in tally.series]
    known = [(n, m) for n, m in zip(counts, medians, strict=True) if math.isfinite(m)]
    if len(known) < 2:
        return 0.0
    middle = sum(n * m for n, m in known) / sum(n for n, _ in known)
    return math.sqrt(sum(n * (m - middle) ** 2 for n, m in known) / (len(known) - 1))


def misfit(tally: Tally, stored: Statistics, norm: Norm) -> Stale | None:
    """Of variances, or of means where they are surely further away; None where nothing arrived."""
    spread = against(tally, stored.var, norm.eps, inherited(norm.momentum, stored.count))
    if spread is None:
        return None
    return by_means(replace(spread, few=_few(tally, stored, norm)), *_means(tally, stored, norm))


def by_means(spread: Stale, distance: Tensor, error: Tensor) -> Stale:
    """The same with how far means are apart, its size where that surely is more.

    (C,) in deviations; NaN where a channel is dead.
    """
    moved, least, most = median(distance), 0.0, math.inf
    if bool(torch.isfinite(error[~distance.isnan()]).all()):
        least, most = (median(each) for each in ((distance - error).clamp(min=0), distance + error))
    found = replace(spread, moved=moved)
    if not math.isfinite(moved) or 1 + least <= spread.least:
        return found
    return replace(found, severity=1 + moved, low=1 + least, high=1 + most, of_means=True)


def _few(tally: Tally, stored: Statistics, norm: Norm) -> Few | None:
    """Channels off beyond what was drawn, and what a running average keeps of other batches."""
    divided = stored.var + norm.eps
    live = tally.total().var() > 0
    ratio = torch.where(live, (tally.within() + norm.eps) / divided, math.nan)
    _, errors = Halved.of(tally).moderate(live)
    share = inherited(norm.momentum, stored.count)
    return few_of(ratio, _by_channel(tally.within() * errors / divided, divided, tally, share))


def _means(tally: Tally, stored: Statistics, norm: Norm) -> tuple[Tensor, Tensor]:
    """How far means lie from the stored ones, in stored deviations, and the error of that, (C,).

    What samples were drawn, and which batches the running average remembers, moves a mean without
    anything being wrong: two standard errors of both.
    """
    total, unit = tally.total(), (stored.var + norm.eps).sqrt()
    distance = torch.where(total.var() > 0, (total.mean - stored.mean).abs() / unit, math.nan)
    drawn = error_of_mean(tally)
    scatter = tally.scattered[0].nan_to_num(0.0) * inherited(norm.momentum, stored.count)
    return distance, 2 * (drawn.square() + scatter).sqrt() / unit


def error_of_mean(tally: Tally) -> Tensor:
    """By the samples drawn, (C,); used as a normal one, so with Student's factor for few groups."""
    without = tally.groups().mean_without_each()
    shares = tally.counts[:, 0] / tally.counts.sum()
    freedom = float(1 / shares.square().sum()) - 1
    if not freedom > _ROUNDING:
        return torch.full_like(tally.averaged, math.nan)
    return jackknife_error(without) * student_factor(freedom)


def of_one_batch(tally: Tally, norm: Norm) -> Stale | None:
    """How far off a running average is as a rule, by what it keeps of the scatter between batches.

    Half of all normal deviations are beyond 0.674 of their standard deviation; that is known
    to 1/√(2(n − 1)) of itself from n batches, of which two are taken off. None below three batches.
    """
    batches = _batches(tally)
    if batches < 3:
        return None
    mean, var = tally.scattered
    within, share = tally.within(), inherited(norm.momentum, 0, most=1.0)
    live = within > 0
    moved = median(torch.where(live, (share * mean / within).sqrt(), math.nan))
    log = median(torch.where(live, (share * var).sqrt() / within, math.nan))
    if not (math.isfinite(moved) and math.isfinite(log)):
        return None
    known = max(0.0, 1 - 2 / math.sqrt(2 * (batches - 1)))

    def size(part: float) -> float:
        return max(1 + _HALF * part * moved, math.exp(_HALF * part * log))

    return Stale(1.0, size(1), size(known), size(2 - known), _HALF * moved, typical=True)


def unfit(met: Met, norm: Norm) -> Stale | None:
    """Against training and against evaluation, the better of the two.

    Statistics that were recalibrated with the noise off fit evaluation, and are meant to.
    """
    both = [misfit(tally, met.stored, norm) for tally in (met.train, met.test)]
    found = [stale for stale in both if stale is not None]
    if not found:
        return None
    few = None if any(stale.few is None for stale in found) else found[-1].few
    return replace(min(found, key=lambda stale: stale.least), few=few)


def left_over(stored: Tensor, momentum: float, steps: int) -> Stale | None:
    """What the initial variance of 1 still weighs: V = (S − w)/(1 − w), w = (1 − momentum)^steps.

    Exact for the average of the variances met. None where w is negligible, or where most stored
    variances lie below w, so that the average cannot have started at 1. Channels at w itself, which
    met no variance but for the rounding of the average, are dead and do not count.
    """
    weight = (1 - momentum) ** steps
    if weight < _LEAST or weight >= 1 or started_elsewhere(stored, weight):
        return None
    met = (stored - weight) / (1 - weight)
    ratio = torch.where(stored > weight * (1 + _ROUNDING), met / stored, math.nan)
    severity = median(torch.maximum(ratio, 1 / ratio))
    return Stale(median(ratio), severity, None, None) if math.isfinite(severity) else None


def started_elsewhere(stored: Tensor, weight: float) -> bool:
    """Whether most stored variances are smaller than what would be left of an initial 1."""
    return float((stored < weight * (1 - _BELOW)).double().mean()) > 0.5
