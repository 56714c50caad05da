"""What cannot work is refused before training; and the callback's place among the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from varshift.errors import UsageError

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer

__all__ = ["last_before_files", "refuse_settings", "refuse_shared_loader", "refuse_trainer"]


def refuse_settings(save: str, max_samples: int, max_bytes: int) -> None:
    """Raise UsageError for arguments that mean nothing."""
    if save not in ("training", "noise_off"):
        raise UsageError(f"save is {save!r}; pass 'training' or 'noise_off'")
    if max_samples < 2:
        raise UsageError(f"max_samples is {max_samples}; a variance takes at least 2")
    if max_bytes < 1:
        raise UsageError(f"max_bytes is {max_bytes}; it must be at least 1")


def refuse_trainer(trainer: Trainer, module: LightningModule, save: str, forward: Any) -> None:
    """Raise UsageError for a run in which the callback could not do what it says."""
    if forward is None and type(module).forward.__qualname__ == "LightningModule.forward":
        raise UsageError(
            f"{type(module).__name__} defines no forward(): pass "
            "forward=lambda module, batch: … that calls what training_step calls"
        )
    if save != "noise_off":
        return
    light = [each for each in trainer.checkpoint_callbacks if getattr(each, "save_weights_only", 0)]
    if light:
        raise UsageError(
            f"{type(light[0]).__name__}(save_weights_only=True) asks no callback what it saves: "
            "its files would hold training's statistics; leave it out, or pass save='training'"
        )
    kinds = {kind.__name__ for kind in type(trainer.strategy).__mro__}
    if kinds & {"FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy"}:
        raise UsageError(
            f"{type(trainer.strategy).__name__} keeps parts of the module's state on each rank, "
            "where save='noise_off' cannot evaluate it; pass save='training' and recalibrate the "
            "file afterwards (vs.recalibrate)"
        )


def refuse_shared_loader(trainer: Trainer, calibration: Any) -> None:
    """Raise UsageError where calibration would end the epoch that is under way."""
    for loader in _loaders(trainer.train_dataloader):
        if loader is calibration and getattr(loader, "persistent_workers", False):
            raise UsageError(
                "calibration is the loader that training iterates, and it has "
                "persistent_workers=True: a second iterator would end the epoch under way; leave "
                "calibration out (the last training batches are used), or pass a loader of its own"
            )


def _loaders(value: Any) -> Iterator[DataLoader[Any]]:
    """Every loader in what a trainer iterates: one, or several in a list, a dict or combined."""
    if isinstance(value, DataLoader):
        yield value
    elif isinstance(value, dict):
        yield from (each for item in value.values() for each in _loaders(item))
    elif isinstance(value, (list, tuple)):
        yield from (each for item in value for each in _loaders(item))
    elif hasattr(value, "flattened"):
        yield from _loaders(list(value.flattened))


def last_before_files(callback: Callback, trainer: Trainer) -> None:
    """Put the callback behind all that may put other weights in, before those that save.

    Then an average (WeightAveraging and its like) is in a file, or in the module at the end, when
    we look at it, wherever the user has listed us. A new list, since the trainer walks the old one.
    """
    files = trainer.checkpoint_callbacks
    run: Any = trainer  # its list of callbacks is not declared
    others = [each for each in run.callbacks if each is not callback and each not in files]
    run.callbacks = [*others, callback, *files]
