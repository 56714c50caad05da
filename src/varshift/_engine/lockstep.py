"""The lock-step pass: every micro-batch waits at each norm until the last one has arrived.

The right statistics of norm k are those of its input when all noise is off *and norms 1 … k−1
already use their own right statistics*. So all micro-batches run side by side, in evaluation mode:
at each norm their moments are merged (Chan, float64), the statistics are written, and only then do
they go on. One forward pass in all, exact for any batching; only live activations are held.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from varshift._engine.batches import Batch, Forward, call, cut
from varshift._engine.lane import Lane, Turns
from varshift._engine.memory import MemoryBound
from varshift._engine.normcall import NormCall
from varshift._engine.order import SiteOrder, refuse_overflow
from varshift._engine.ranks import Ranks
from varshift._engine.record.joined import is_small, joined_moments, pooled
from varshift._engine.record.moments import channel_moments
from varshift._engine.sites import Handle
from varshift._engine.tap import Tap
from varshift._engine.usual import entering
from varshift._engine.weakly import weakly
from varshift.errors import ModelError
from varshift.theory.moments import Moments, merge_all

__all__ = ["LockStep", "MixedUp", "Settle", "lock_step"]

_FEW = 2  # samples of the witness
_SELDOM = 50

Settle = Callable[[Handle, Moments], None]
Stops = Callable[[str], bool]
Report = Callable[[int, int | None], None]


class MixedUp(Exception):
    """The model raised among micro-batches that ran side by side, on some rank; it may not alone.

    `error` is what it raised on this rank.
    """

    def __init__(self, error: ModelError | None) -> None:
        super().__init__(str(error))
        self.error = error


def lock_step(
    model: nn.Module,
    data: Iterable[Batch],
    settle: Settle,
    stops: Stops,
    *,
    forward: Forward | None = None,
    ranks: Ranks | None = None,
    max_bytes: int | None = None,
    report: Report = lambda done, total: None,
    modules: Mapping[str, nn.Module] | None = None,
) -> LockStep:
    """Run all batches side by side; at each site call `settle(site, merged moments)`.

    The model must be borrowed, and in the mode it is to be run in. `stops(path)` says at which
    norms to wait. A norm that runs again is settled again, with the moments of all its runs so
    far. With `ranks` the moments are merged over a process group, in rank order, so that every
    rank settles on the same bits; the call must lie inside `ranks.together()`. `modules` are norms
    to be met as modules, by path.

    Raises MixedUp, on every rank, where the model raised on any rank that runs several batches.
    """
    run = LockStep(model, settle, stops, forward, ranks or Ranks(), MemoryBound(max_bytes))
    run.modules = modules or {}
    with _seldom_collected(), entering(run.modules, weakly(run.arrive)):
        try:
            run.start(data)
            run.settle_all(report)
        finally:
            run.abandon()
    return run


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Thousands of micro-batches are alive at once: the collector would walk them for nothing."""
    first, *others = gc.get_threshold()
    try:
        if first:  # the loan gives it back where an interrupt strikes between the blocks
            gc.set_threshold(_SELDOM * first, *others)
        yield
    finally:
        gc.set_threshold(first, *others)


@dataclass(frozen=True)
class _Waiting:
    """What a rank brings to an exchange: where its micro-batches wait, and with what moments."""

    path: str | None
    moments: Moments | None = None
    names: tuple[str, str] | None = None
    mixed_up: bool = False


class LockStep:
    """A lock-step pass; once through, what it saw.

    `merged` holds each site's moments over everything, `runs` how often it was settled, `by_batch`
    the norms that normalise by their batch, and have nothing to settle. A witness
    runs in the crowd without being counted: the first few samples, or else the smallest
    micro-batch. Its moments must come out the same when it is run again alone; if not, the model
    keeps something from one forward to the next.
    """

    def __init__(
        self,
        model: nn.Module,
        settle: Settle,
        stops: Stops,
        forward: Forward | None,
        ranks: Ranks,
        memory: MemoryBound,
    ) -> None:
        self.batches = self.samples = 0
        self.merged: dict[str, Moments] = {}
        self.runs: dict[str, int] = {}
        self.by_batch: set[str] = set()
        self.modules: Mapping[str, nn.Module] = {}
        self._model, self._forward, self._stops = model, forward, stops
        self._settle, self._ranks, self._memory = settle, ranks, memory
        self._tap = Tap(model, weakly(self.arrive))
        self._order = SiteOrder(model)
        self._turns = Turns()
        self._waiting: dict[str, list[Lane]] = {}
        self._smallest: Lane | None = None
        self._witness: Lane | None = None
        self._seen: dict[Lane, dict[str, Moments]] = {}
        self._under_way: set[Lane] = set()
        self._raised: ModelError | None = None

    # Scheduling ----------------------------------------------------------------------------

    def start(self, data: Iterable[Batch]) -> None:
        """Take in every batch and run each to its first norm."""
        for batch in data:
            self.batches, self.samples = self.batches + 1, self.samples + batch.samples
            lane = Lane(batch, self._run)
            if self._smallest is None or batch.samples < self._smallest.batch.samples:
                self._smallest = lane
            self._go_on(lane)
            if self._raised is not None:
                return
            if self.batches == 1:
                first = batch
            elif self.batches == 2:
                self._start_witness(first)

    def settle_all(self, report: Report) -> None:
        """Until every micro-batch is through: merge at one site, settle it, let them go on."""
        sites = self._order.sites(self._stops)
        while (path := self._settle_next()) is not None:
            for lane in self._waiting.pop(path, []):
                lane.call = lane.moments = None
                if self._raised is None:
                    self._go_on(lane)
            self._resume_witness(path)
            report(len(self.merged), max(sites, len(self.merged)))
        refuse_overflow(self.merged)

    def abandon(self) -> None:
        """Unwind what is still under way: a witness may wait at a norm that no other reached.

        What was raised goes with who asks for it: it holds frames of this pass, and they it.
        """
        self._raised = None
        self._turns.unwind(list(self._under_way))

    def _go_on(self, lane: Lane) -> None:
        """To its next norm, or through."""
        self._memory.check(self.samples, self.batches)
        self._under_way.add(lane)
        try:
            self._turns.resume(lane)
        except ModelError as error:
            self._turns.home()
            if error.__cause__ is None or self.batches < 2:
                raise
            self._raised = error
        if lane.done:
            self._under_way.discard(lane)
        elif lane.call is not None:
            self._waiting.setdefault(lane.call.path, []).append(lane)
        self._turns.home()

    def _run(self, batch: Batch) -> None:
        with self._tap:
            call(self._model, batch, self._forward)

    def arrive(self, call: NormCall) -> None:
        """Called by a micro-batch as it reaches a norm: wait here until it is settled."""
        if not self._stops(call.path):
            return
        if call.training:
            self.by_batch.add(call.path)
            return
        lane = self._turns.running
        lane.call = call
        if not is_small(call.x):
            lane.moments = channel_moments(call.x)
        self._turns.wait()

    # Settling ------------------------------------------------------------------------------

    def _settle_next(self) -> str | None:
        """Of the norms where some wait, on any rank, settle the first; None when all are through.

        One exchange: a rank that waits elsewhere brings moments that do not count yet.
        """
        own = min(self._waiting, key=self._order.place, default=None)
        mine = self._bring(own)
        brought = self._ranks.gather(mine, "settling a norm")
        if any(each.mixed_up for each in brought):
            raise MixedUp(self._raised)
        paths = [each.path for each in brought if each.path is not None]
        if not paths:
            return None
        path = min(paths, key=self._order.place)
        here = [each for each in brought if each.path == path]
        moments = merge_all(each.moments for each in here if each.moments is not None)
        names = next(each.names for each in here)
        waiting = self._waiting.get(path)
        call = waiting[0].call if waiting else None
        site = call.handle if call is not None else self._order.site(path, names)
        self._keep(path, moments)
        self._settle(site, self.merged[path])
        return path

    def _bring(self, path: str | None) -> _Waiting:
        if self._raised is not None:
            return _Waiting(None, mixed_up=True)
        if path is None:
            return _Waiting(None)
        lanes = self._waiting[path]
        if self._smallest in lanes:
            self._see(self._smallest)
        call = lanes[0].call
        assert call is not None
        names = self._order.names(call) if self._ranks.several else None
        return _Waiting(path, pooled(_moments(lanes)), names)

    def _keep(self, path: str, moments: Moments) -> None:
        if path in self.merged:
            moments = self.merged[path] + moments
        self.merged[path] = moments
        self.runs[path] = self.runs.get(path, 0) + 1

    # The witness ---------------------------------------------------------------------------

    def repeats(self) -> bool:
        """Whether the witness alone meets every norm with the moments it had in the crowd.

        A model that keeps something between modules or forwards (a cache, a feature list) would mix
        up micro-batches that run side by side. Where a norm runs twice, its first run used
        statistics that have changed since, so nothing can be compared.
        """
        witness = self._witness or self._smallest
        if witness is None or self.batches < 2 or any(times > 1 for times in self.runs.values()):
            return True
        alone: dict[str, Moments] = {}

        def keep(call: NormCall) -> None:
            if call.path not in alone:
                alone[call.path] = channel_moments(call.x)

        with entering(self.modules, keep), Tap(self._model, keep):
            call(self._model, witness.batch, self._forward)
        seen = self._seen.get(witness, {})
        return all(_alike(moments, alone.get(path)) for path, moments in seen.items())

    def _start_witness(self, first: Batch) -> None:
        few = cut(first, _FEW)
        if few.samples < first.samples:
            self._witness = Lane(few, self._run)
            self._resume_witness(None)

    def _resume_witness(self, path: str | None) -> None:
        """Let it go on; a model that cannot take so few samples is checked another way."""
        lane = self._witness
        if lane is None or lane.done or path != (lane.call and lane.call.path):
            return
        if lane.call is not None:
            self._see(lane)
            lane.call = lane.moments = None
        self._under_way.add(lane)
        try:
            self._turns.resume(lane)
        except ModelError:
            self._witness = None
        if lane.done:
            self._under_way.discard(lane)
        self._turns.home()

    def _see(self, lane: Lane) -> None:
        assert lane.call is not None
        moments = lane.moments or channel_moments(lane.call.x)
        self._seen.setdefault(lane, {})[lane.call.path] = moments


def _moments(lanes: list[Lane]) -> list[Moments]:
    """Of every micro-batch that waits: small inputs together, large ones as they arrived."""
    calls = [lane.call for lane in lanes if lane.moments is None]
    small = joined_moments([call.x for call in calls if call is not None])
    return [lane.moments for lane in lanes if lane.moments is not None] + small


def _alike(one: Moments, other: Moments | None) -> bool:
    if other is None or one.count != other.count:
        return False
    scale = (one.m2 / max(one.count, 1)).sqrt() + 1e-6 * one.mean.abs() + 1e-12
    near = (one.mean - other.mean).abs() <= 1e-3 * scale
    return bool(near.all()) and one.m2.allclose(other.m2, rtol=1e-3, atol=1e-12)
