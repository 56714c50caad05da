"""From two tallies to the figures of a site: Δ, severity and the paper's own, each with its error.

All errors are delete-one-group jackknifes over the same groups of samples in both modes, so what
the two passes share (the images) cancels as it should.
"""

from __future__ import annotations

import torch
from torch import Tensor

from varshift._engine import Tally, groups_of, rounding
from varshift.results import Site, Statistics
from varshift.theory.jackknife import jackknife_error
from varshift.theory.shift import severity

__all__ = ["site_of"]


def site_of(path: str, stored: Statistics, train: Tally, test: Tally, samples: int) -> Site:
    """The finished record of one norm site."""
    on, off = _statistics(train), _statistics(test)
    live = ~(_constant(on, train.precision) & _constant(off, test.precision))
    delta = _ratio(off.var, on.var, live)
    groups = groups_of(train, test)  # some batches may reach it in one mode only
    off_without, on_without = (tally.without_each(groups)[1] for tally in (test, train))
    without = _ratio(off_without, on_without, live)
    assert off.within is not None
    paper = _worse(off.within.mean() / stored.var.mean())
    paper_without = _worse(off_without.mean(1) / stored.var.mean())
    return Site(
        path=path,
        stored=stored,
        train=on,
        test=off,
        delta=delta,
        delta_se=jackknife_error(without),
        shift=float(_median(delta)),
        shift_se=float(jackknife_error(_median(without))),
        severity=float(_median(severity(delta))),
        severity_se=float(jackknife_error(_median(severity(without)))),
        paper=float(paper),
        paper_se=float(jackknife_error(paper_without)),
        live=live,
        samples=samples,
    )


def _statistics(tally: Tally) -> Statistics:
    total = tally.total()
    return Statistics(total.mean, total.var(), total.count, tally.within())


def _constant(statistics: Statistics, precision: float) -> Tensor:
    """Channels that do not vary beyond the rounding of their own mean."""
    return statistics.var <= rounding(statistics.mean, precision)


def _ratio(test: Tensor, train: Tensor, live: Tensor) -> Tensor:
    return torch.where(live, test / train, torch.nan)


def _worse(ratio: Tensor) -> Tensor:
    return torch.maximum(ratio, 1 / ratio)


def _median(values: Tensor) -> Tensor:
    """Median over live channels (the last dimension), the mean of the middle two if even."""
    return torch.nanquantile(values, 0.5, dim=-1)
