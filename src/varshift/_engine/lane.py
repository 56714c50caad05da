"""One micro-batch on its way through the model, which can stop inside anybody's `forward`.

Lanes take turns in one thread. What is the thread's or the process's own (grad mode, autocast,
default dtype, backend flags, warning filters, stacks of modes, context variables) belongs to the
lane that set it, and so does a random stream that a forward has seeded: each is swapped with it.

Lanes are greenlets: a thread for each would give each one an OpenMP team of its own and cost three
to five times a plain pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import Any

import torch
from torch import Tensor

from varshift._engine.batches import Batch
from varshift._engine.borrow.process import process_state, set_process_state
from varshift._engine.normcall import NormCall
from varshift.theory.moments import Moments

__all__ = ["Lane", "Turns", "can_stop_inside"]

State = tuple[Any, ...]


def can_stop_inside() -> bool:
    """Whether this Python has greenlets. Free-threaded builds may not."""
    try:
        import greenlet  # noqa: F401
    except ImportError:
        return False
    return True


class Lane:
    """A micro-batch, and what it waits with at a norm: the call, or its moments alone."""

    __slots__ = ("batch", "call", "greenlet", "moments", "random", "state")

    def __init__(self, batch: Batch, run: Callable[[Batch], None]) -> None:
        from greenlet import greenlet

        self.batch = batch
        self.call: NormCall | None = None
        self.moments: Moments | None = None
        self.state: State | None = None
        self.random: list[Tensor] | None = None
        self.greenlet = greenlet(lambda: run(batch))
        self.greenlet.gr_context = copy_context()

    @property
    def done(self) -> bool:
        """Whether it is through the model, or has raised."""
        return bool(self.greenlet.dead)


class Turns:
    """Whose turn it is. Every switch between lanes, and back to the scheduler, goes through here.

    A switch reads the state around it once, and writes only where two lanes differ.
    """

    def __init__(self) -> None:
        self._home = process_state()
        self._now: State | None = self._home
        self._running: Lane | None = None
        self._over = False
        self._generators = _generators()
        self._seeds = self._seeded()
        self._stream = self._streams()  # as it was when the last lane stopped, once one has seeded
        self._careful = False

    @property
    def running(self) -> Lane:
        """The lane that asks."""
        assert self._running is not None
        return self._running

    def resume(self, lane: Lane) -> None:
        """Let it go on until it waits or is through; raises what it raises."""
        if self._careful:
            self._stream = self._streams()
        if lane.random is not None:
            self._set_streams(lane.random)
        self._become(self._home if lane.state is None else lane.state)
        self._now, self._running = None, lane
        lane.greenlet.switch()
        if lane.done:
            self._now = process_state()
        else:
            self._now = lane.state
        self._part_streams(lane)

    def wait(self) -> None:
        """Called by a lane: let others go on. Returns at once where the pass is being unwound."""
        if self._over:
            return
        lane = self.running
        state = process_state()
        lane.state = self._home if state == self._home else state
        lane.greenlet.parent.switch()

    def home(self) -> None:
        """The state that the scheduler itself runs in."""
        self._become(self._home)

    def unwind(self, lanes: Iterable[Lane]) -> None:
        """End every lane that is still under way, each in its own state, innermost block first.

        An interrupt meanwhile is raised when all have ended.
        """
        self._over = True
        interrupt: BaseException | None = None
        for lane in lanes:
            while not lane.done:
                try:
                    self._end(lane)
                except Exception:
                    continue  # from a finally of the model: it has unwound all the same
                except BaseException as error:
                    interrupt = error
        set_process_state(self._home)
        if interrupt is not None:
            raise interrupt

    def _end(self, lane: Lane) -> None:
        from greenlet import GreenletExit

        self._running = lane
        if lane.state is not None:
            set_process_state(lane.state)
        lane.greenlet.throw(GreenletExit)

    def _become(self, state: State) -> None:
        if self._now is not state and self._now != state:
            set_process_state(state)
        self._now = state

    def _part_streams(self, lane: Lane) -> None:
        """A lane inside `fork_rng` that has seeded it keeps that stream; the others go on as is."""
        seeded = self._seeded() != self._seeds
        if seeded and not lane.done:
            self._careful = True
            lane.random = self._streams()
            self._set_streams(self._stream)
        elif lane.random is not None and not seeded:
            lane.random = None
            self._set_streams(self._stream)

    def _seeded(self) -> list[int]:
        return [generator.initial_seed() for generator in self._generators]

    def _streams(self) -> list[Tensor]:
        return [generator.get_state() for generator in self._generators]

    def _set_streams(self, states: list[Tensor]) -> None:
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)


def _generators() -> list[torch.Generator]:
    own = [torch.default_generator]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        own += torch.cuda.default_generators
    return own
