"""From two tallies to the figures of a site: Δ, severity and the paper's, each with its error."""

from __future__ import annotations

import torch
from torch import Tensor

from varshift._engine import Tally, rounding
from varshift._measure.errors import Halved
from varshift.results import Site, Statistics
from varshift.theory.shift import severity
from varshift.theory.spread import median

__all__ = ["site_of"]


def site_of(path: str, stored: Statistics, train: Tally, test: Tally, samples: int) -> Site:
    """The finished record of one norm site."""
    on, off = _statistics(train), _statistics(test)
    live = ~(_constant(on, train.precision) & _constant(off, test.precision))
    delta = torch.where(live, off.var / on.var, torch.nan)
    halved, errors = Halved.of(test, train).moderate(live)
    assert off.within is not None

    def paper(within: Tensor) -> Tensor:
        ratio = within.nan_to_num().mean(-1) / stored.var.mean()
        return torch.maximum(ratio, 1 / ratio)

    return Site(
        path=path,
        stored=stored,
        train=on,
        test=off,
        delta=delta,
        delta_se=torch.where(delta == 0, 0.0, delta * errors),
        shift=median(delta),
        shift_se=halved.error_of_median(lambda ratios: ratios, delta),
        severity=median(severity(delta)),
        severity_se=halved.error_of_median(severity, delta),
        paper=float(paper(off.within)),
        paper_se=Halved.of(test).error_of(paper, off.within),
        live=live,
        samples=samples,
    )


def _statistics(tally: Tally) -> Statistics:
    total = tally.total()
    return Statistics(total.mean, total.var(), total.count, tally.within())


def _constant(statistics: Statistics, precision: float) -> Tensor:
    """Channels that do not vary beyond the rounding of their own mean."""
    return statistics.var <= rounding(statistics.mean, precision)
