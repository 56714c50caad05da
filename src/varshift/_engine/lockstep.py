"""The lock-step pass: every micro-batch waits at each norm until the last one has arrived.

The right statistics of norm k are those of its input when all noise is off *and norms 1 … k−1
already use their own right statistics*. So all micro-batches run side by side, in evaluation mode:
at each norm their moments are merged (Chan, float64), the statistics are written, and only then do
they go on. One forward pass in all, exact for any batching; only live activations are held.

Side by side means greenlets in one thread: a thread per micro-batch would give each one an OpenMP
team of its own and cost three to five times a plain pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from greenlet import GreenletExit, getcurrent, greenlet
from torch import nn

from varshift._engine.batches import Batch, Forward, call, cut
from varshift._engine.memory import Memory
from varshift._engine.normcall import NormCall
from varshift._engine.ranks import Ranks
from varshift._engine.record.moments import channel_moments
from varshift._engine.sites import Handle, norm_handles
from varshift._engine.tap import Tap
from varshift.errors import ModelError
from varshift.theory.moments import Moments

__all__ = ["LockStep", "Settle", "lock_step"]

_FEW = 2  # samples of the witness

Settle = Callable[[Handle, Moments], None]
Stops = Callable[[str], bool]
Report = Callable[[int, int | None], None]


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
) -> LockStep:
    """Run all batches side by side; at each site call `settle(site, merged moments)`.

    The model must be borrowed, and in the mode it is to be run in. `stops(path)` says at which
    norms to wait. A norm that runs again is settled again, with the moments of all its runs so
    far. With `ranks` the moments are merged over a process group, in rank order, so that every
    rank settles on the same bits; an error on one rank becomes an error on all.
    """
    tap = Tap(model, _arrive)
    order = list(norm_handles(model))
    alone = ranks or Ranks()
    run = LockStep(model, settle, stops, forward, alone, Memory(max_bytes), tap, order)
    try:
        run.start(data)
        run.settle_all(report)
        run.abandon()  # a witness may still wait at a norm that no other micro-batch reached
    except BaseException as error:
        run.abandon()
        run.ranks.announce(error)
        raise
    return run


@dataclass(eq=False)
class LockStep:
    """A lock-step pass; once through, what it saw.

    `merged` holds each site's moments over everything, `runs` how often it was settled. A `witness`
    runs in the crowd without being counted: the first few samples, or else the smallest
    micro-batch. Its moments, `seen`, must come out the same when it is run again alone; if not, the
    model keeps something from one forward to the next.
    """

    model: nn.Module
    settle: Settle
    stops: Stops
    forward: Forward | None
    ranks: Ranks
    memory: Memory
    tap: Tap
    order: list[str]
    lanes: list[_Lane] = field(default_factory=list)
    merged: dict[str, Moments] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    seen: dict[str, Moments] = field(default_factory=dict)
    _witness: _Lane | None = None

    @property
    def samples(self) -> int:
        """Samples of this rank."""
        return sum(lane.batch.samples for lane in self.lanes)

    @property
    def witness(self) -> Batch:
        """The batch that is to be run again alone."""
        if self._witness is not None:
            return self._witness.batch
        return min(self.lanes, key=lambda lane: lane.batch.samples).batch

    def start(self, data: Iterable[Batch]) -> None:
        """Take in every batch and run each to its first norm."""
        for batch in data:
            self.lanes.append(_Lane(self, batch))
            self._resume(self.lanes[-1])
            if len(self.lanes) == 2 and not self.ranks.several:
                self._start_witness()

    def settle_all(self, report: Report) -> None:
        """Until every micro-batch is through: merge at one site, settle it, let them go on."""
        sites = sum(map(self.stops, self.order))
        while (path := self._next_site()) is not None:
            here = [lane for lane in self.lanes if lane.at == path]
            site, moments = self._merge(path, here)
            self.settle(site, moments)
            for lane in here:
                lane.waiting = None
                self._resume(lane)
            self._resume_witness(path)
            report(len(self.merged), max(sites, len(self.merged)))

    def abandon(self) -> None:
        """Unwind every micro-batch that is still under way, innermost context first."""
        for lane in [*self.lanes, *([self._witness] if self._witness else [])]:
            if lane and not lane.dead:
                outer = _thread_state()
                lane.throw(GreenletExit)
                _set_thread_state(outer)

    def _merge(self, path: str, here: list[_Lane]) -> tuple[Handle, Moments]:
        arrivals = [lane.waiting for lane in here if lane.waiting is not None]
        if self._witness is None:
            own = [lane.waiting for lane in here if lane.batch is self.witness and lane.waiting]
            self.seen.update((path, arrival.moments) for arrival in own)
        moments = self.ranks.merged([arrival.moments for arrival in arrivals])
        if path in self.merged:
            moments = self.merged[path] + moments
        self.merged[path] = moments
        self.runs[path] = self.runs.get(path, 0) + 1
        if not (torch.isfinite(moments.mean).all() and torch.isfinite(moments.m2).all()):
            raise ModelError(
                f"the input of {path!r} holds NaN or infinity with noise off, though the batches "
                "are finite: the model overflows before it"
            )
        return arrivals[0].site if arrivals else _site_here(self.model, path), moments

    def _waiting_at(self) -> str | None:
        """Where to settle next: of the norms where some wait, the one the model defines first."""
        waiting = {lane.at for lane in self.lanes if lane.at is not None}
        return min(waiting, key=self._place, default=None)

    def _next_site(self) -> str | None:
        """Where all ranks settle next; None when all are through."""
        waiting = {path for path in self.ranks.gather(self._waiting_at()) if path is not None}
        return min(waiting, key=self._place, default=None)

    def _place(self, path: str) -> int:
        return self.order.index(path) if path in self.order else len(self.order)

    def _start_witness(self) -> None:
        few = cut(self.lanes[0].batch, _FEW)
        if few.samples < self.lanes[0].batch.samples:
            self._witness = _Lane(self, few)
            self._resume_witness(None)

    def _resume_witness(self, path: str | None) -> None:
        """Let it go on; a model that cannot take so few samples is checked another way."""
        lane = self._witness
        if lane is None or lane.at != path:
            return
        if lane.waiting is not None:
            self.seen[lane.waiting.site.path] = lane.waiting.moments
            lane.waiting = None
        try:
            self._resume(lane)
        except ModelError:
            self._witness = None

    def _resume(self, lane: _Lane) -> None:
        self.memory.check(self.samples, len(self.lanes))
        outer = _thread_state()
        lane.switch()
        _set_thread_state(outer)


@dataclass(frozen=True, eq=False)
class _Arrival:
    """One micro-batch waiting at a norm, with the moments of its own input there."""

    site: Handle
    moments: Moments


class _Lane(greenlet):  # type: ignore[misc]
    """One micro-batch on its way through the model."""

    def __init__(self, step: LockStep, batch: Batch) -> None:
        super().__init__()
        self.step = step
        self.batch = batch
        self.waiting: _Arrival | None = None

    @property
    def at(self) -> str | None:
        """The site it waits at."""
        return self.waiting.site.path if self.waiting else None

    def run(self) -> None:
        with self.step.tap:
            call(self.step.model, self.batch, self.step.forward)


def _arrive(call: NormCall) -> None:
    """Called in a micro-batch's greenlet as it reaches a norm: wait here until it is settled."""
    site, x = call.handle, call.x
    lane = cast(_Lane, getcurrent())
    if not lane.step.stops(site.path):
        return
    lane.waiting = _Arrival(site, channel_moments(x))
    mine = _thread_state()
    lane.parent.switch()
    _set_thread_state(mine)


def _site_here(model: nn.Module, path: str) -> Handle:
    """A site that only other ranks' data reached."""
    handle = norm_handles(model)[path]
    return Handle(path, handle.module, handle.running_mean, handle.running_var)


def _thread_state() -> tuple[Any, ...]:
    """What torch keeps per thread (grad mode, autocast), and each micro-batch must have alone."""
    autocast = tuple(
        (device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
        for device in ("cpu", "cuda")
    )
    return torch.is_grad_enabled(), torch.is_autocast_cache_enabled(), autocast


def _set_thread_state(state: tuple[Any, ...]) -> None:
    grad, cache, autocast = state
    torch.set_grad_enabled(grad)
    torch.set_autocast_cache_enabled(cache)
    for device, enabled, dtype in autocast:
        torch.set_autocast_enabled(device, enabled)
        torch.set_autocast_dtype(device, dtype)
