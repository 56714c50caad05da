"""What noise-off statistics are found from, and whether the model holds some already."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from varshift._engine import Data, Forward, norm_handles, unwrapped
from varshift.integrations.recent import Recent
from varshift.integrations.transformers.stored import FILE_NAME, StoredStatistics

__all__ = ["Calibrating"]


class Calibrating:
    """What one trainer remembers for its evaluations.

    Attributes:
        recent: the last training batches.
        loaded: where the model was read from a file with noise-off statistics, these and those of
            training.
    """

    def __init__(self, given: Data | None, max_samples: int, forward: Forward | None) -> None:
        self.recent = Recent(max_samples, copied=True)
        self.loaded: StoredStatistics | None = None
        self._given = given
        self._forward = forward
        self._in_evaluation: tuple[str, ...] = ()
        self._warned = False

    # What to calibrate with ------------------------------------------------------------------

    def keep(self, batch: Any) -> None:
        """A batch that training is about to see."""
        if self._given is None:
            self.recent.add(batch)

    def data(self, trainer: Any) -> Data | None:
        """Batches of training data; None, and one warning, where there are none to be had."""
        if self._given is not None:
            return self._given
        if recent := self.recent.batches():
            return recent
        if self._may_be_read(trainer):
            return lambda: fresh_batches(trainer)
        if not self._warned:
            self._warned = True
            warnings.warn(
                "evaluated with the statistics that the model has: nothing has been trained here, "
                "and there is no train_dataset to take samples from; pass calibration=, some "
                "batches of training data",
                stacklevel=5,
            )
        return None

    @staticmethod
    def _may_be_read(trainer: Any) -> bool:
        """Whether there are training data that no epoch is reading and reading does not use up."""
        begun = getattr(trainer, "_initial_global_step", 0)  # not 0 where training was resumed
        under_way = trainer.is_in_train and trainer.state.global_step > begun
        dataset = trainer.train_dataset
        return dataset is not None and not under_way and not isinstance(dataset, IterableDataset)

    def forward_of(self, trainer: Any) -> Forward:
        """How training runs the model: under its autocast, labels taken out if it takes them out.

        The loss itself is of no interest; where one is divided by a number of items, by 1.
        """
        if self._forward is not None:
            return self._forward
        counts = trainer.model_accepts_loss_kwargs or trainer.compute_loss_func is not None

        def forward(model: nn.Module, batch: Any) -> Any:
            items = torch.ones((), device=trainer.args.device) if counts else None
            with trainer.compute_loss_context_manager():
                return trainer.compute_loss(model, batch, num_items_in_batch=items)

        return forward

    @staticmethod
    def use_evaluated_weights(trainer: Any) -> None:
        """An optimizer that evaluates other weights than it trains has them in place from here on.

        The evaluation itself does this first thing; the next training step takes it back.
        """
        switch = getattr(trainer.optimizer, "eval", None)
        if callable(switch):
            switch()

    # Norms that were frozen in training ------------------------------------------------------

    def remember_frozen(self, model: nn.Module) -> None:
        """After a training step, the only time when flags are those of training for certain."""
        self._in_evaluation = tuple(
            path for path, module in unwrapped(model).named_modules() if not module.training
        )

    def frozen_in(self, model: nn.Module) -> Iterable[str]:
        """The norms that were in eval mode then, as patterns."""
        norms = norm_handles(unwrapped(model)) if self._in_evaluation else {}
        return [glob.escape(path) for path in self._in_evaluation if path in norms]

    # Statistics that came with a model file --------------------------------------------------

    def take_in(self, folder: str | Path, model: nn.Module) -> None:
        """The model was read from this folder."""
        self.loaded = StoredStatistics.read(folder)
        if self.loaded is not None and not self.loaded.noise_off_in(model):
            self.loaded = None
            warnings.warn(
                f"{FILE_NAME} in {str(folder)!r} belongs to another model file than the one "
                "there, which was written later: it is ignored",
                stacklevel=4,
            )

    def in_the_model(self, model: nn.Module) -> bool:
        """Whether the model holds noise-off statistics of its own, read from a file."""
        if self.loaded is not None and not self.loaded.noise_off_in(model):
            self.loaded = None  # somebody has given it others since
        return self.loaded is not None

    def begin_training(self, model: nn.Module) -> None:
        """Training goes on with its own statistics."""
        if self.in_the_model(model):
            assert self.loaded is not None
            self.loaded.back_to_training(model)
        self.loaded = None


def fresh_batches(trainer: Any) -> Iterable[Any]:
    """Training batches from a loader of our own, made as the trainer makes its loaders.

    Not Accelerate's: one that is left half-way would count as the loader that is being iterated,
    and its workers would live on.
    """
    loader = trainer.get_train_dataloader()
    loader = getattr(loader, "base_dataloader", loader)
    sampler = getattr(loader, "batch_sampler", None)
    if sampler is None:
        return loader  # type: ignore[no-any-return]
    return DataLoader(loader.dataset, batch_sampler=sampler, collate_fn=loader.collate_fn)
