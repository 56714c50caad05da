"""How like the data of training an example is, by what its norms receive against what they store.

With every norm normalising by its stored statistics, E[(x − mean)²] about the stored mean is the
stored variance on data like those of training. On other data it is another one: normal numbers in
place of pictures miss it two- to tenfold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from varshift._engine import Batch, Handle, NormCall, Recorder, channel_moments
from varshift.theory.moments import Moments
from varshift.theory.spread import median

__all__ = ["LIKE", "LIKE_IN_BATCH", "Likeness"]

LIKE = 0.6  # up to here an example is taken for data of training: normal numbers began at 0.6
LIKE_IN_BATCH = 0.3  # the same where norms use the example's own statistics: at 0.38


@dataclass(eq=False)
class Likeness(Recorder):
    """What norms that hold statistics of training received in noisy passes.

    `handles`: those norms. Overflows are let pass: they are an answer, too.
    """

    handles: Mapping[str, Handle]
    received: dict[str, Moments] = field(default_factory=dict)

    def begin(self, batch: Batch) -> None:
        """A pass starts."""
        self._now: list[tuple[str, Moments]] = []

    def norm(self, call: NormCall) -> None:
        """What it receives."""
        if call.path in self.handles:
            self._now.append((call.path, channel_moments(call.x)))

    def end(self, out: Any) -> None:
        """The pass is through."""
        for path, moments in self._now:
            here = Moments(moments.count, moments.mean.cpu(), moments.m2.cpu())
            held = self.received.get(path)
            self.received[path] = here if held is None else held.merge(here)

    def share(self) -> Any:
        """Its moments."""
        return self.received

    def joined(self, shares: list[Any]) -> None:
        """Moments of all ranks."""
        self.received = {}
        for share in shares:
            for path, moments in share.items():
                held = self.received.get(path)
                self.received[path] = moments if held is None else held.merge(moments)

    def distance(self) -> float:
        """Mean over norms of the median over channels of |log(variance received ÷ stored)|.

        NaN where no norm holds statistics of training, infinite where it overflows on the way.
        """
        if not all(_finite(moments) for moments in self.received.values()):
            return math.inf
        found = [_at(self.handles[path], moments) for path, moments in self.received.items()]
        known = [value for value in found if not math.isnan(value)]
        return sum(known) / len(known) if known else math.nan


def _at(handle: Handle, moments: Moments) -> float:
    var, mean = (
        value.detach().double().cpu() for value in (handle.running_var, handle.running_mean)
    )
    about = moments.m2 / max(moments.count, 1) + (moments.mean - mean).square()
    off = (about / var).log().abs()
    return median(off.where((var > 0) & (about > 0), math.nan))


def _finite(moments: Moments) -> bool:
    return bool(torch.isfinite(moments.mean).all() and torch.isfinite(moments.m2).all())
