"""Settle every norm on the moments of its own input: side by side, or one norm at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from torch import nn

from varshift._engine.batches import Batch, Data, why_empty
from varshift._engine.borrow.model import set_training
from varshift._engine.borrow.rng import drawn_from, rng_state
from varshift._engine.lane import can_stop_inside
from varshift._engine.lockstep import LockStep, MixedUp, Settle, Stops, lock_step
from varshift._engine.onebyone import site_by_site
from varshift._engine.session import Session
from varshift._engine.sharding import is_sharded
from varshift.errors import DataError, ModelError

__all__ = ["OneByOne", "Settled", "settle"]


class OneByOne(Enum):
    """Why the norms were settled one at a time."""

    KEEPS_STATE = auto()  # the model keeps something from one forward to the next
    SHARDED = auto()  # its weights lie on several ranks
    NO_GREENLETS = auto()  # micro-batches cannot stop inside a forward


@dataclass(frozen=True)
class Settled:
    """What happened, on all ranks together.

    `reused` are the norms that ran more than once a pass, `by_batch` those that normalised by their
    batch and have nothing to settle, `own` those that evaluate by arithmetic of their own; `noisy`
    says whether anything was drawn.
    """

    samples: int
    batches: int
    reused: tuple[str, ...]
    noisy: bool
    one_by_one: OneByOne | None
    by_batch: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()


def settle(
    run: Session,
    data: Data,
    settle: Settle,
    stops: Stops,
    restart: Callable[[], None],
    *,
    max_samples: int | None = None,
    max_bytes: int | None = None,
) -> Settled:
    """Evaluation in which norms settle and wait, over all batches of all ranks.

    Every micro-batch stands at a norm where it `stops` until the last one has arrived; then
    `settle(site, moments of all)` says what the norm uses from there on. `restart()` takes all of
    that back: where micro-batches cannot run side by side the norms are done one at a time.
    """
    return _Settling(run, settle, stops, restart).settled(data, max_samples, max_bytes)


@dataclass(frozen=True, eq=False)
class _Settling:
    run: Session
    settle: Settle
    stops: Stops
    restart: Callable[[], None]
    by_batch: set[str] = field(default_factory=set)
    modules: dict[str, nn.Module] = field(default_factory=dict)

    def settled(self, data: Data, max_samples: int | None, max_bytes: int | None) -> Settled:
        """Side by side where that can be and is right, else one at a time."""
        run = self.run
        set_training(run.off)  # each module's own flag, without calling `eval()`
        taken = run.batches(data, max_samples)
        reading = run.report.reading(taken, data, max_samples, then="recalibrating")
        stream = _Stream(reading, drawing=type(data) not in (list, tuple, deque))
        usual, own = run.usual(stream.first)
        self.modules.update(usual)
        why = self._why_one_by_one()
        reused: tuple[str, ...] = ()
        if why is None:
            why, reused = self._in_lock_step(stream, max_bytes)
        else:
            self._one_by_one(stream)
        noisy = run.ranks.any(stream.others_drew())
        counts = run.ranks.gather((len(stream.taken), stream.samples, self.by_batch, own), "counts")
        if not any(count for count, *_ in counts):
            raise DataError(why_empty(data))
        samples = sum(samples for _, samples, *_ in counts)
        done = sum(count for count, *_ in counts)
        by_batch = tuple(sorted(set().union(*(paths for *_, paths, _ in counts))))
        own = set().union(*(paths for *_, paths in counts))
        return Settled(samples, done, reused, noisy, why, by_batch, frozenset(own))

    def _why_one_by_one(self) -> OneByOne | None:
        if is_sharded(self.run.model):
            return OneByOne.SHARDED
        if not self.run.ranks.agree(can_stop_inside()):
            return OneByOne.NO_GREENLETS
        return None

    def _in_lock_step(
        self,
        stream: _Stream,
        max_bytes: int | None,
    ) -> tuple[OneByOne | None, tuple[str, ...]]:
        error: ModelError | None = None
        try:
            run = lock_step(
                self.run.model,
                stream,
                self.settle,
                self.stops,
                forward=self.run.forward,
                ranks=self.run.ranks,
                max_bytes=max_bytes,
                report=self.run.report,
                modules=self.modules,
            )
        except MixedUp as mixed_up:
            error = mixed_up.error
        else:
            self.by_batch.update(run.by_batch)
            if not self._mixed_up(run, stream):
                return None, tuple(path for path, times in run.runs.items() if times > 1)
        self.restart()
        try:
            self._one_by_one(stream)
        except ModelError:
            if error is None:
                raise
            raise error from error.__cause__
        finally:
            del error  # its traceback leads to this frame, which would keep it
        return OneByOne.KEEPS_STATE, ()

    def _mixed_up(self, run: LockStep, stream: _Stream) -> bool:
        """Whether on any rank the witness meets other moments alone; noise would do that too."""
        if self.run.ranks.any(stream.others_drew()):
            return False
        return self.run.ranks.any(not run.repeats())

    def _one_by_one(self, stream: _Stream) -> None:
        site_by_site(
            self.run.model,
            stream.all(),
            self.settle,
            self.stops,
            forward=self.run.forward,
            ranks=self.run.ranks,
            report=self.run.report,
            by_batch=self.by_batch,
            modules=self.modules,
        )


class _Stream:
    """Batches on their way into the pass, kept and counted; whether reading may draw is said."""

    def __init__(self, source: Iterator[Batch], drawing: bool) -> None:
        self._source = source
        self._drawing = drawing
        self.taken: list[Batch] = []
        self.samples = 0
        self._drew = False
        self._after = rng_state()
        self._ahead: list[Batch] = []

    def first(self) -> Batch | None:
        """The first batch, which is still to come; None where there is none."""
        batch = self._next()
        self._ahead = [] if batch is None else [batch]
        return batch

    def __iter__(self) -> Iterator[Batch]:
        while (batch := self._next()) is not None:
            self.taken.append(batch)
            self.samples += batch.samples
            yield batch

    def _next(self) -> Batch | None:
        """One batch more; a loader draws too, if only its workers' seed."""
        if self._ahead:
            return self._ahead.pop()
        if not self._drawing:
            return next(self._source, None)
        self._drew = self.others_drew()
        batch = next(self._source, None)
        self._after = rng_state()
        return batch

    def others_drew(self) -> bool:
        """Whether anything has drawn since the beginning that was not the reading of the data."""
        return self._drew or bool(drawn_from(self._after, rng_state()))

    def all(self) -> list[Batch]:
        """Every batch, those not yet taken included."""
        for _ in self:
            pass
        return self.taken
