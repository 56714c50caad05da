"""Noise whose mean is not one, as of a mask that nobody rescales, and what evaluation makes of it.

Where every noise is replaced by its mean a pass meets data as training has them on average. An
evaluation that leaves such a noise out meets others, and no checkpoint says so: a pass does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from varshift._engine import Batch, Meeting, Regime, Session, Silenced, stored
from varshift._predict.recorders import AtTest
from varshift.results import Expected, Structure
from varshift.theory.moments import merge_all
from varshift.theory.spread import median

__all__ = ["Means", "by_line", "left_out", "means_at_test", "odd"]

_NEUTRAL = 1e-6  # what rounding leaves of a mean of one
_SAME = 1e-3  # relative: a factor that is one number at all channels depends on no example

Variances = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Means:
    """By what the variance at each norm is larger in evaluation than with every noise at its mean.

    `factors`: (C,) by path, of the norms where that is not 1. `sources`: whose means these are.
    """

    factors: Mapping[str, Tensor]
    sources: tuple[str, ...] = ()

    def moved(self, site: Expected) -> Expected:
        """A site that was figured as if evaluation had every noise at its mean."""
        factor = self.factors.get(site.path)
        if factor is None:
            return site
        delta, middle = site.delta * factor, median(factor.where(~site.delta.isnan(), torch.nan))
        if not middle > 0:
            return site
        # Where channels differ in it, data unlike the example would make it another one.
        same = bool(((factor / middle - 1).abs() < _SAME)[~delta.isnan()].all())
        least, most = (middle, middle) if same else (min(middle, 1.0), max(middle, 1.0))
        return replace(
            site,
            delta=delta,
            var_test=delta * site.var_train,
            low=site.low * least,
            high=site.high * most,
        )


def means_at_test(run: Session, batch: Batch, asked: frozenset[str], out: frozenset[str]) -> Means:
    """What one pass of the example in each mode shows; `out` are left out in training as well.

    Nothing, where each of the sources `asked` has a mean of one, or some noise stays in the passes.
    """
    sources = odd(run, asked - out)
    if not sources:
        return Means({})
    silent, test = _silenced(run, [batch], out), _evaluated(run, [batch])
    loud = any(how is Silenced.NOT for how in run.silenced.values())
    if run.ranks.any(loud or bool(run.drew.get(_TEST))):
        return Means({})
    ratios = {path: test[path] / silent[path] for path in silent.keys() & test.keys()}
    factors = {
        path: ratio.where(ratio.isfinite() & (ratio > 0), 1.0)
        for path, ratio in ratios.items()
        if not bool(((ratio - 1).abs() < _SAME).all())
    }
    return Means(factors, tuple(sorted(sources)) if factors else ())


def left_out(run: Session, batches: list[Batch], asked: frozenset[str]) -> frozenset[str]:
    """Those sources of a mean other than one that evaluation leaves out.

    Each line of code is asked by itself: whether without its noise training is nearer to evaluation
    at the norms than with the noise at its mean.
    """
    unlike = odd(run, asked)
    if not unlike:
        return unlike
    test = _evaluated(run, batches)
    plain = _apart(_silenced(run, batches, frozenset()), test)
    alike = by_line(run.structure, unlike)
    return frozenset().union(
        *(each for each in alike if _apart(_silenced(run, batches, each), test) < plain)
    )


def by_line(structure: Structure, sources: Iterable[str]) -> list[frozenset[str]]:
    """The sources that draw in one line of code, of which evaluation makes the same as a rule."""
    wanted = frozenset(sources)
    found: dict[str, set[str]] = {}
    for noise in structure.noises:
        if noise.name in wanted:
            found.setdefault(str(noise.line or noise.name), set()).add(noise.name)
    return [frozenset(held) for held in found.values()]


def odd(run: Session, asked: frozenset[str]) -> frozenset[str]:
    """Those of a mean that is not one, or not known: the same on all ranks."""
    own = {name for name, mean in run.means.items() if not abs(mean - 1) < _NEUTRAL}
    return frozenset().union(*run.ranks.gather(frozenset(own & asked)))


_TEST = "evaluation beside means"


def _silenced(run: Session, batches: list[Batch], out: frozenset[str]) -> Variances:
    """At each norm in training, `out` left out and all other noise at its mean."""
    at = AtTest()
    regime = Regime("training", record=(at,), norms=stored, blend=_silent, leave_out=out)
    run.run(batches, {"noise at its mean": regime})
    return _variances(at)


def _evaluated(run: Session, batches: list[Batch]) -> Variances:
    at = AtTest()
    run.run(batches, {_TEST: Regime("evaluation", record=(at,), norms=stored)})
    return _variances(at)


def _variances(at: AtTest) -> Variances:
    return {path: merge_all(groups.values()).var() for path, groups in at.at.items()}


def _silent(meeting: Meeting) -> Tensor:
    return meeting.noisy if meeting.silent is None else meeting.silent


def _apart(one: Variances, other: Variances) -> float:
    """Mean over norms of the median over channels of |log of the ratio of variances|."""
    found = [median((one[path] / other[path]).log().abs()) for path in one.keys() & other.keys()]
    known = [each for each in found if each == each]
    return sum(known) / len(known) if known else 0.0
