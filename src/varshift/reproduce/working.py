"""Runs are taken one by one, by as many processes as there are, each run by one at a time."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from varshift.errors import MissingExtraError, ModelError, UsageError
from varshift.reproduce.images import pixels
from varshift.reproduce.recording import failure_of, record_of
from varshift.reproduce.run import Run
from varshift.reproduce.scales import Budget
from varshift.reproduce.store import Store
from varshift.reproduce.training import train

__all__ = ["Job", "work"]

Report = Callable[[int, int | None], None]
WAIT = 1.0  # seconds between looks at what other processes still hold


@dataclass(frozen=True)
class Job:
    """What to run and with what: it goes to every process as it is.

    Attributes:
        runs: in the order in which they are taken.
        folder: where they are kept.
        budget: of measuring.
        roots: where the files of a named image set are, by its name.
        device: where to train.
        every: seconds between two saved states.
    """

    runs: tuple[Run, ...]
    folder: Path
    budget: Budget
    roots: dict[str, str]
    device: str = "cpu"
    every: float = 20.0


def work(job: Job, *, workers: int = 1, report: Report = lambda done, total: None) -> None:
    """Train and measure every run that has no record yet, in `workers` processes.

    Each takes runs that no living process holds, so that further processes may be started by hand,
    and any may be killed. `report` gets training steps done and to be done.
    """
    if not job.every > 0:
        raise UsageError(f"every is {job.every} seconds between two saved states; pass more than 0")
    if workers < 1:
        raise UsageError(f"workers is {workers}; pass 1 or more")
    mine, parent = multiprocessing.get_context("spawn"), os.getpid()
    others = [
        mine.Process(target=_help, args=(job, parent), daemon=True) for _ in range(workers - 1)
    ]
    threads = torch.get_num_threads()
    try:
        for other in others:
            other.start()
        _Worker(job, report, threads=None if workers == 1 else 1).to_the_end()
        for other in others:
            other.join()
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        for other in others:
            if other.is_alive():
                other.terminate()


def _help(job: Job, parent: int) -> None:
    """A further process; it ends when the one that started it has."""

    def alive(done: int, total: int | None) -> None:
        if os.getppid() != parent:
            raise SystemExit(1)

    _Worker(job, alive, threads=1).to_the_end()


class _Worker:
    """One process that takes runs until all have records."""

    def __init__(self, job: Job, report: Report, threads: int | None) -> None:
        self.job, self.report, self.store = job, report, Store(job.folder)
        if threads is not None:
            torch.set_num_threads(threads)
        self.steps = {run: _steps(run) for run in job.runs}
        missing = [run for run in job.runs if self.store.record(run) is None]
        self.total = sum(self.steps[run] for run in missing)
        self.missing = missing

    def to_the_end(self) -> None:
        while left := [run for run in self.missing if self.store.record(run) is None]:
            if not any([self._taken(run) for run in left]):
                self._tell(left)
                time.sleep(WAIT)

    def _taken(self, run: Run) -> bool:
        """Whether this process could take the run (and then has done it)."""
        with _held(self.store.lock(run)) as held:
            if held and self.store.record(run) is None:
                self._do(run)
            return held

    def _do(self, run: Run) -> None:
        images = pixels(run.images, self.job.roots.get(run.images.name)).to(self.job.device)
        others = [run_ for run_ in self.missing if run_ != run and self.store.record(run_) is None]
        before = self.total - sum(self.steps[run_] for run_ in (*others, run))
        self.store.sweep(run)
        try:
            trained = train(
                run,
                images,
                self.store.state(run),
                every=self.job.every,
                device=self.job.device,
                step_done=lambda step: self.report(before + step, self.total),
            )
        except ModelError as error:  # it would fail again: say so on the page, and go on
            self.store.keep(run, failure_of(run, error, images))
            return
        record = record_of(run, trained, images, self.job.budget)
        self.store.finish(run, record, trained.net.state_dict())

    def _tell(self, left: Sequence[Run]) -> None:
        self.report(self.total - sum(self.steps[run] for run in left), self.total)


def _steps(run: Run) -> int:
    """For the bar; where all images are used, as many as the well-known sets have."""
    return run.recipe.steps(run.images.train or 50_000)


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Whether the lock could be had; a process that dies lets go of its own."""
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise MissingExtraError("filelock", "reproduce", "sharing runs among processes") from error
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
