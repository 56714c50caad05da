"""Settle every norm on the moments of its own input: side by side, or one norm at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from torch import nn

from varshift._engine.batches import Batch, Data, Device, Forward, batches, why_empty
from varshift._engine.borrow.model import borrowed, set_training, training_flags
from varshift._engine.borrow.rng import drawn_from, rng_state
from varshift._engine.lane import can_stop_inside
from varshift._engine.lockstep import LockStep, MixedUp, Settle, Stops, lock_step
from varshift._engine.onebyone import site_by_site
from varshift._engine.progress import Progress, Reporter, reporter
from varshift._engine.ranks import Ranks
from varshift._engine.sharding import is_sharded
from varshift.errors import DataError, ModelError

__all__ = ["OneByOne", "Settled", "Settling", "settling"]


class OneByOne(Enum):
    """Why the norms were settled one at a time."""

    KEEPS_STATE = auto()  # the model keeps something from one forward to the next
    SHARDED = auto()  # its weights lie on several ranks
    NO_GREENLETS = auto()  # micro-batches cannot stop inside a forward


@dataclass(frozen=True)
class Settled:
    """What happened, on all ranks together.

    `reused` are the norms that ran more than once a pass, `noisy` says whether anything was drawn.
    """

    samples: int
    batches: int
    reused: tuple[str, ...]
    noisy: bool
    one_by_one: OneByOne | None


@dataclass(frozen=True, eq=False)
class Settling:
    """A borrowed model whose norms are to be settled; made by `settling`."""

    model: nn.Module
    forward: Forward | None
    device: Device
    ranks: Ranks
    report: Reporter

    def run(
        self,
        data: Data,
        settle: Settle,
        stops: Stops,
        restart: Callable[[], None],
        *,
        max_samples: int | None = None,
        max_bytes: int | None = None,
    ) -> Settled:
        """Settle all norms where it stops, in lock step where that can be and is right.

        `restart()` puts the statistics back: the norms are done again, one at a time.
        """
        # Each module's own flag, without calling `eval()`.
        set_training([(module, False) for module, _ in training_flags(self.model)])
        taken = batches(
            data,
            self.model,
            forward=self.forward,
            device=self.device,
            max_samples=max_samples,
            may_be_empty=self.ranks.several,
        )
        stream = _Stream(self.report.reading(taken, data, max_samples, then="recalibrating"))
        before = rng_state()
        why = self._why_one_by_one()
        reused: tuple[str, ...] = ()
        if why is None:
            why, reused = self._in_lock_step(stream, settle, stops, restart, before, max_bytes)
        else:
            self._one_by_one(stream, settle, stops)
        noisy = self.ranks.any(bool(drawn_from(before, rng_state())))
        counts = self.ranks.gather((len(stream.taken), stream.samples), "counts")
        if not any(count for count, _ in counts):
            raise DataError(why_empty(data))
        samples = sum(samples for _, samples in counts)
        return Settled(samples, sum(count for count, _ in counts), reused, noisy, why)

    def _why_one_by_one(self) -> OneByOne | None:
        if is_sharded(self.model):
            return OneByOne.SHARDED
        if not self.ranks.agree(can_stop_inside()):
            return OneByOne.NO_GREENLETS
        return None

    def _in_lock_step(
        self,
        stream: _Stream,
        settle: Settle,
        stops: Stops,
        restart: Callable[[], None],
        before: Any,
        max_bytes: int | None,
    ) -> tuple[OneByOne | None, tuple[str, ...]]:
        error: ModelError | None = None
        try:
            run = lock_step(
                self.model,
                stream,
                settle,
                stops,
                forward=self.forward,
                ranks=self.ranks,
                max_bytes=max_bytes,
                report=self.report,
            )
        except MixedUp as mixed_up:
            error = mixed_up.error
        else:
            if not self._mixed_up(run, before):
                return None, tuple(path for path, times in run.runs.items() if times > 1)
        restart()
        try:
            self._one_by_one(stream, settle, stops)
        except ModelError:
            if error is None:
                raise
            raise error from error.__cause__
        return OneByOne.KEEPS_STATE, ()

    def _mixed_up(self, run: LockStep, before: Any) -> bool:
        """Whether on any rank the witness meets other moments alone; noise would do that too."""
        if self.ranks.any(bool(drawn_from(before, rng_state()))):
            return False
        return self.ranks.any(not run.repeats())

    def _one_by_one(self, stream: _Stream, settle: Settle, stops: Stops) -> None:
        site_by_site(
            self.model,
            stream.all(),
            settle,
            stops,
            forward=self.forward,
            ranks=self.ranks,
            report=self.report,
        )


@contextmanager
def settling(
    model: nn.Module,
    *,
    forward: Forward | None = None,
    device: Device = None,
    progress: Progress = None,
    sync: bool | None = None,
) -> Iterator[Settling]:
    """Borrow the model, on all ranks together."""
    ranks = Ranks.of(model, sync)
    with ranks.together(), borrowed(model) as inner, reporter(progress) as report:
        yield Settling(inner, forward, device, ranks, report)


class _Stream:
    """Batches on their way into the pass, kept and counted."""

    def __init__(self, source: Iterator[Batch]) -> None:
        self._source = source
        self.taken: list[Batch] = []
        self.samples = 0

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._source:
            self.taken.append(batch)
            self.samples += batch.samples
            yield batch

    def all(self) -> list[Batch]:
        """Every batch, those not yet taken included."""
        for _ in self:
            pass
        return self.taken
