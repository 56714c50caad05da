"""The slow, obvious way to the same statistics: one site after another, one batch after another.

As many passes as there are norms. It is what `lock_step` must agree with, and what stands in for it
on a model that keeps something from one forward to the next, on one whose weights lie on several
ranks, and where micro-batches cannot stop inside a forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from torch import nn

from varshift._engine.batches import Batch, Forward, call, one_batch
from varshift._engine.instep import in_step
from varshift._engine.normcall import NormCall
from varshift._engine.order import SiteOrder, refuse_overflow
from varshift._engine.ranks import Ranks
from varshift._engine.record.moments import channel_moments
from varshift._engine.sharding import is_sharded
from varshift._engine.sites import Handle
from varshift._engine.tap import Tap
from varshift._engine.usual import entering
from varshift.theory.moments import Moments

__all__ = ["site_by_site"]


def site_by_site(
    model: nn.Module,
    data: list[Batch],
    settle: Callable[[Handle, Moments], None],
    stops: Callable[[str], bool],
    *,
    forward: Forward | None = None,
    ranks: Ranks | None = None,
    report: Callable[[int, int | None], None] = lambda done, total: None,
    by_batch: set[str] | None = None,
    modules: Mapping[str, nn.Module] | None = None,
) -> dict[str, Moments]:
    """Settle the first unsettled site with its moments over all batches, until none is left.

    A norm that runs more than once is settled on its first run. With `ranks` all settle the same
    site at the same time, with the moments of all; the call must lie inside `ranks.together()`.
    `by_batch` takes in the norms that normalise by their batch, and have nothing to settle.
    `modules` are norms to be met as modules, by path.
    """
    aside = set() if by_batch is None else by_batch
    ranks = ranks or Ranks()
    meeting = SiteOrder(model)
    sharded = is_sharded(model)
    turns = [(batch, True) for batch in data]
    if sharded:
        turns = list(in_step(data, ranks, partial(one_batch, model=model, forward=forward)))
    settled: dict[str, Moments] = {}
    while True:
        search = _Search(lambda path: stops(path) and path not in settled, not sharded, aside)
        for batch, counts in turns:
            search.begin(counts)
            meeting_all = entering(modules or {}, search.meet)
            with suppress(_Reached), meeting_all, Tap(model, search.meet):
                call(model, batch, forward)
        found = _together(search, meeting, ranks)
        if found is None:
            return settled
        site, moments = found
        settled[site.path] = moments
        settle(site, moments)
        report(len(settled), max(meeting.sites(stops), len(settled)))


def _together(search: _Search, meeting: SiteOrder, ranks: Ranks) -> tuple[Handle, Moments] | None:
    """The first of the sites where any rank's batches have stopped, with the moments of all."""
    named = {
        path: meeting.names(met) if ranks.several else None for path, met in search.calls.items()
    }
    brought = ranks.gather(named, "sites")
    paths = {path: names for each in brought for path, names in each.items()}
    if not paths:
        return None
    path = min(paths, key=meeting.place)
    met = search.calls.get(path)
    site = met.handle if met is not None else meeting.site(path, paths[path])
    moments = ranks.merged(search.parts.get(path, []))
    refuse_overflow({path: moments})
    return site, moments


class _Reached(BaseException):
    """The site in question is reached; the rest of this pass is not needed."""


class _Search:
    """The first unsettled site that each batch meets, and its moments there."""

    def __init__(self, open_: Callable[[str], bool], may_stop: bool, by_batch: set[str]) -> None:
        self._open = open_
        self._by_batch = by_batch
        self._may_stop = may_stop
        self._looking = True
        self.calls: dict[str, NormCall] = {}  # without their inputs
        self.parts: dict[str, list[Moments]] = {}

    def begin(self, counts: bool) -> None:
        """Another batch; one that does not count is run for others' sake."""
        self._looking = counts

    def meet(self, call: NormCall) -> None:
        if not self._looking or not self._open(call.path):
            return
        if call.training:
            self._by_batch.add(call.path)
            return
        self._looking = False
        self.calls.setdefault(call.path, call.given(input=None))
        self.parts.setdefault(call.path, []).append(channel_moments(call.x))
        # A sharded model must be left by its own door: it gives its weights back there.
        if self._may_stop:
            raise _Reached
