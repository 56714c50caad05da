"""The slow, obvious way to the same statistics: one site after another, one batch after another.

As many passes as there are norms. It is what `lock_step` must agree with, and what stands in for it
on a model that keeps something from one forward to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from torch import nn

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.normcall import NormCall
from varshift._engine.record.moments import channel_moments
from varshift._engine.sites import Handle
from varshift._engine.tap import Tap
from varshift.theory.moments import Moments, merge_all

__all__ = ["site_by_site"]


def site_by_site(
    model: nn.Module,
    data: list[Batch],
    settle: Callable[[Handle, Moments], None],
    stops: Callable[[str], bool],
    *,
    forward: Forward | None = None,
) -> dict[str, Moments]:
    """Settle the first unsettled site with its moments over all batches, until none is left.

    A norm that runs more than once is settled on its first run.
    """
    settled: dict[str, Moments] = {}
    while True:
        search = _Search(lambda path: stops(path) and path not in settled)
        for batch in data:
            with suppress(_Reached), Tap(model, search.meet):
                call(model, batch, forward)
        if search.site is None:
            return settled
        settled[search.site.path] = merge_all(search.parts)
        settle(search.site, settled[search.site.path])


class _Reached(BaseException):
    """The site in question is reached; the rest of this pass is not needed."""


class _Search:
    """The first unsettled site of a round, and its moments batch by batch."""

    def __init__(self, open_: Callable[[str], bool]) -> None:
        self._open = open_
        self.site: Handle | None = None
        self.parts: list[Moments] = []

    def meet(self, call: NormCall) -> None:
        site, x = call.handle, call.x
        if not self._open(site.path):
            return
        self.site = self.site or site
        if site.path == self.site.path:
            self.parts.append(channel_moments(x))
            raise _Reached
