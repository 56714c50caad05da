"""What `progress=` accepts, made into one callable that also names what is being done."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, Protocol

from varshift._engine.batches import Batch
from varshift._handed import drawing

__all__ = ["SILENT", "Progress", "Report", "Reporter", "batches_in_all", "reporter"]

Report = Callable[[int, int | None], None]
Progress = Report | bool | None

_READING = "reading data"


class _Bar(Protocol):
    def __call__(self, done: float, total: int | None) -> None: ...
    def begin(self, label: str) -> None: ...
    def say(self, label: str) -> None: ...


class Reporter:
    """Tells a caller's callback how much is done, and a bar what of and under which name.

    A callback has one unit, which the verb documents: phases and what they count are the bar's
    alone. The bar is silent where there is none.
    """

    def __init__(self, told: Report | None, bar: _Bar | None) -> None:
        self._told = told
        self._bar = bar

    def __call__(self, done: int, total: int | None) -> None:
        """So much is done, to both."""
        self.tell(done, total)
        self.draw(done, total)

    def tell(self, done: int, total: int | None) -> None:
        """To the callback alone, where the bar counts something finer."""
        if self._told is not None:
            self._told(done, total)

    def draw(self, done: float, total: int | None) -> None:
        """The same to the bar alone; `done` may be a fraction of a step."""
        if self._bar is not None:
            self._bar(done, total)

    def begin(self, label: str) -> None:
        """A phase that is counted, and timed, from nothing."""
        if self._bar is not None:
            self._bar.begin(label)

    def say(self, label: str) -> None:
        """What is being done, in the count that is running."""
        if self._bar is not None:
            self._bar.say(label)

    def reading(
        self, taken: Iterable[Batch], data: Any, max_samples: int | None, then: str
    ) -> Iterator[Batch]:
        """The batches, counted on the bar while they are read; `then` is what comes after."""
        self.begin(_READING)
        for done, batch in enumerate(taken, 1):
            self.draw(done, batches_in_all(data, max_samples, done, batch))
            yield batch
        self.begin(then)

    @property
    def inner(self) -> Reporter:
        """For a verb that this one calls: drawn, but its counts are not the callback's."""
        return Reporter(None, self._bar)


SILENT = Reporter(None, None)


@contextmanager
def reporter(progress: Progress, label: str = "", after: float = 0.0) -> Iterator[Reporter]:
    """What to call as `(done, total or None)`; `progress=True` draws a bar (the `cli` extra).

    `label` is the first phase; the bar appears `after` so many seconds, if work goes on that long.
    A verb hands its own reporter to one that it calls as `progress=report.inner`.
    """
    if isinstance(progress, Reporter):
        progress.begin(label)
        yield progress
    elif callable(progress):
        yield Reporter(progress, None)
    elif progress:
        bar = drawing().bar(label, after)
        try:
            yield Reporter(None, bar)
        finally:
            bar.close()
    else:
        yield SILENT


def batches_in_all(data: Any, max_samples: int | None, done: int, batch: Batch) -> int | None:
    """How many batches there will be, taking the rest for as large as `batch`; None if unknown."""
    try:
        known = len(data) if isinstance(data, Sized) else None
    except TypeError:  # a DataLoader has a length, but not over an iterable data set
        known = None
    if known is None or max_samples is None:
        return known
    return max(done, min(known, math.ceil(max_samples / batch.samples)))
