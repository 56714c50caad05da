"""How far the figures of a site may be off, from what halves of the samples show.

Both modes are halved alike, so what the two passes share (the images) cancels as it should. All is
relative, in logarithms of Δ: a ratio of variances scatters by factors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._engine import Tally, groups_of
from varshift.theory.halves import (
    NORMAL,
    balanced_halves,
    group_terms,
    reach,
    student_factor,
    tail_freedom,
)
from varshift.theory.moderation import moderated, pooled_freedom
from varshift.theory.spread import medians

__all__ = ["Halved"]

_EXACT = 1e-12  # a squared relative error below it is rounding, and nothing to learn from
_FURTHEST = 20.0  # of a logarithm: a half in which a channel stands still
_BASES = 8  # halves that are halved again …
_WIDE = 256  # … and of so many channels a pair, which shows as much and costs a fifth
_ROOT = 2.0  # a bias that grows by 1 from two doses of noise to three is about so much at one
_CHANCE = 2.0  # times what channels should differ by chance, which a few of them may do
_SURER = 0.6  # least part of a median's square error that is its own, not the halving's

Figure = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Halved:
    """How a value per channel differs on halves of the samples.

    Attributes:
        deviations: (R, C) logarithms of half ÷ whole, scaled to the error of the whole; NaN where
            a half says nothing.
        groups: G, how many there were.
        freedom: degrees of freedom of an error made of those groups, by their sizes.
    """

    deviations: Tensor
    groups: int
    freedom: float

    @classmethod
    def of(cls, test: Tally, train: Tally | None = None) -> Halved:
        """Of var_test / var_train per channel; of var_test alone without `train`."""
        tallies = [test] if train is None else [test, train]
        groups = groups_of(*tallies)  # some batches may reach it in one mode only
        shares = torch.stack([tally.shares(groups) for tally in tallies]).mean(0)
        halves = balanced_halves(len(groups))
        ratios = test.var_of(halves, groups) / test.total().var()
        if train is not None:
            ratios = ratios * (train.total().var() / train.var_of(halves, groups))
        part = halves.double() @ shares
        deviations = ratios.log().clamp(-_FURTHEST, _FURTHEST)
        scale = (part / (1 - part)).sqrt()[:, None]
        freedom = float(1 / shares.square().sum() - 1)
        return cls(deviations * scale, len(groups), freedom)

    def moderate(self, live: Tensor) -> tuple[Halved, Tensor]:
        """The same with live channels made surer by each other, and the (C,) relative errors.

        An error times `NORMAL` holds 95 in 100. NaN where a channel says nothing.
        """
        squares = self.deviations.expm1().square().nanmean(0)
        known = live & (squares > _EXACT)
        if self.groups < 2 or not bool(known.any()):
            return self, squares.sqrt()
        terms = group_terms(self.deviations[:, known].nan_to_num(), self.groups)
        one = tail_freedom(terms, self.freedom)  # degrees of freedom of one channel's error
        surer, freedom = moderated(squares[known], one, pooled_freedom(terms))
        # So few groups show less of a heavy tail than there is: what they show counts twice.
        tails = student_factor(one) / student_factor(self.freedom)
        scales = torch.ones_like(squares)
        scales[known] = (surer / squares[known]).sqrt() * tails
        errors = squares.sqrt() * scales
        errors[known] *= student_factor(freedom) * tails
        # Tails that many channels show are those of a median over them, whose own are less sure.
        return Halved(self.deviations * scales, self.groups, one), errors

    def error_of(self, figure: Figure, values: Tensor) -> float:
        """Error of a figure over channels, `(…, C)` -> `(…)`, of the (C,) values."""
        return self._error(figure, values, float(figure(values)))

    def error_of_median(self, channelwise: Figure, values: Tensor) -> float:
        """Error of the median over channels of `(…, C)` -> `(…, C)`, such as the severity.

        Where channels differ by no more than chance, the median of the true ones is better known
        than the median of the noisy ones: by their mean, which heavy tails bias less. So the error
        is that of a mixture of both, and of how far the median is from it.
        """
        whole = float(medians(channelwise(values)))
        return self._error(self._steadied(channelwise, values), values, whole)

    def _error(self, figure: Figure, values: Tensor, whole: float) -> float:
        """Error of `whole`, for which `figure` stands, which is near it.

        The scatter of the figure over halves, less what the halving itself adds; and how far
        it is biased: the median of noisy values is not that of the true ones where channels differ
        about as much as they are noisy. What a third dose of noise changes shows that.
        """
        if self.groups < 2 or not (0 < whole < math.inf):
            return 0.0 if whole == 0 and self.groups > 1 else math.nan
        centre = figure(values)
        once = (figure(values * self.deviations.exp()) / centre).log()
        known = once.isfinite()
        if not bool(known.any()):
            return math.nan
        first = once[known].mean()
        square = float((once[known] - first).square().mean())
        if square <= _EXACT:
            return whole * math.sqrt(square)
        twice = self._twice(figure, values, centre)
        again = float((twice - twice.nanmean(1, keepdim=True)).square().nanmean())
        square *= min(max(square / again, _SURER), 1.0) if again > 0 else 1.0
        terms = group_terms(once.nan_to_num(), self.groups)
        error = math.sqrt(square) * student_factor(tail_freedom(terms, self.freedom))
        bias = math.log(whole / float(centre)) + _ROOT * float(twice.nanmean() - first)
        # A factor reaches further up than down: an error for both directions must hold the further.
        return whole * math.expm1(reach(bias, error)) / NORMAL

    def _twice(self, figure: Figure, values: Tensor, centre: Tensor) -> Tensor:
        """Logarithms of the figure with the deviations of two halves, (bases, R)."""
        rows = len(self.deviations) // 2
        bases = _BASES if values.shape[-1] < _WIDE else 2
        few = torch.arange(0, rows, max(1, 2 * rows // bases), device="cpu")
        twice = self.deviations[torch.cat([few, few + rows])]
        moved = values * (twice[:, None] + self.deviations).exp()
        return _finite((figure(moved) / centre).log())

    def _steadied(self, channelwise: Figure, values: Tensor) -> Figure:
        """The median, drawn to the mean as far as channels differ by chance (in logarithms)."""
        logs = _finite(channelwise(values).log())
        chance = _finite(channelwise(values * self.deviations.exp()).log()) - logs
        spread, noise = _var(logs), float(_var(chance).nanmean())
        weight = (
            math.sqrt(1 - min(1.0, _CHANCE * noise / float(spread))) if float(spread) > 0 else 1.0
        )

        def steadied(moved: Tensor) -> Tensor:
            each = channelwise(moved)
            mean = _finite(each.log()).nanmean(-1)
            return (weight * medians(each).log() + (1 - weight) * mean).exp()

        return steadied if weight < 1 else lambda moved: medians(channelwise(moved))


def _finite(values: Tensor) -> Tensor:
    return torch.where(values.isfinite(), values, torch.nan)


def _var(values: Tensor) -> Tensor:
    """Unbiased variance over channels, NaN left out; NaN below two."""
    count = values.isfinite().sum(-1)
    gaps = (values - values.nanmean(-1, keepdim=True)).square().nansum(-1)
    return torch.where(count > 1, gaps / (count - 1).clamp(min=1), torch.nan)
