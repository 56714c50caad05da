"""One run from its images to its record, wherever it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from varshift.errors import ModelError
from varshift.reproduce.images import pixels
from varshift.reproduce.precision import Wish
from varshift.reproduce.recording import failure_of, record_of
from varshift.reproduce.run import Run
from varshift.reproduce.scales import Budget
from varshift.reproduce.store import Store
from varshift.reproduce.training import train
from varshift.reproduce.trial import chosen_precision

__all__ = ["Done", "Job", "do", "steps_of"]


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
        precision: of the convolutions in training; "auto" tries both.
        records: a file that gets a line of every run that is done, and has those done before.
    """

    runs: tuple[Run, ...]
    folder: Path
    budget: Budget
    roots: dict[str, str]
    device: str = "cpu"
    every: float = 20.0
    precision: Wish = "fp32"
    records: Path | None = None


@dataclass(frozen=True, eq=False)
class Done:
    """What a run leaves: its record, and its weights unless it failed."""

    record: dict[str, Any]
    weights: dict[str, Tensor] | None

    def keep(self, store: Store, run: Run) -> None:
        """Write both into a store; the record ends the run."""
        if self.weights is None:
            store.keep(run, self.record)
        else:
            store.finish(run, self.record, self.weights)


def do(job: Job, run: Run, *, step_done: Callable[[int], None] = lambda step: None) -> Done:
    """Train and measure one run, from its saved state on. Only under the run's lock.

    Its state is written to the job's folder; its record is not.
    """
    store = Store(job.folder)
    images = pixels(run.images, job.roots.get(run.images.name)).to(job.device)
    store.sweep(run)
    try:
        choice = chosen_precision(job.precision, run, images, job.device)
        trained = train(
            run,
            images,
            store.state(run),
            every=job.every,
            device=job.device,
            precision=choice.precision,
            step_done=step_done,
        )
    except ModelError as error:  # it would fail again: say so on the page, and go on
        return Done(failure_of(run, error, images), None)
    record = record_of(run, trained, images, job.budget, choice.images_per_second)
    return Done(record, trained.net.state_dict())


def steps_of(run: Run) -> int:
    """For the bar; where all images are used, as many as the well-known sets have."""
    return run.recipe.steps(run.images.train or 50_000)
