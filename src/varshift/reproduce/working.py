"""Runs are taken one by one, by as many processes as there are, each run by one at a time."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence

import torch

from varshift.errors import UsageError
from varshift.reproduce.locking import locked
from varshift.reproduce.one import Job, do, steps_of
from varshift.reproduce.run import Run
from varshift.reproduce.store import Store

__all__ = ["Report", "work"]

Report = Callable[[int, int | None], None]
WAIT = 1.0  # seconds between looks at what other processes still hold


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
        self.job, self.report, self.store = job, report, Store(job.folder, job.records)
        if threads is not None:
            torch.set_num_threads(threads)
        self.steps = {run: steps_of(run) for run in job.runs}
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
        with locked(self.store.lock(run)) as held:
            if held and self.store.record(run) is None:
                self._do(run)
            return held

    def _do(self, run: Run) -> None:
        others = [run_ for run_ in self.missing if run_ != run and self.store.record(run_) is None]
        before = self.total - sum(self.steps[run_] for run_ in (*others, run))
        done = do(self.job, run, step_done=lambda step: self.report(before + step, self.total))
        done.keep(self.store, run)

    def _tell(self, left: Sequence[Run]) -> None:
        self.report(self.total - sum(self.steps[run] for run in left), self.total)
