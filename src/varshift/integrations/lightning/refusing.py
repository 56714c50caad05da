"""What cannot work is refused before training; and the callback's place among the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from varshift.errors import UsageError

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer

__all__ = ["last_before_files", "refuse_another", "refuse_settings", "refuse_trainer"]


def refuse_settings(save: str) -> None:
    """Raise UsageError for arguments that mean nothing."""
    if save not in ("training", "noise_off"):
        raise UsageError(f"save is {save!r}; pass 'training' or 'noise_off'")


def refuse_another(kind: type[Callback], callback: Callback, trainer: Trainer) -> None:
    """Raise UsageError where the trainer has two: each would take the other's for training's."""
    run: Any = trainer  # its list of callbacks is not declared
    if any(isinstance(each, kind) and each is not callback for each in run.callbacks):
        raise UsageError(
            f"this trainer has two {kind.__name__} callbacks, and what one puts in the other would "
            "take for training's own: leave one out"
        )


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


def last_before_files(callback: Callback, trainer: Trainer) -> None:
    """Put the callback behind all that may put other weights in, before those that save.

    Then an average (WeightAveraging and its like) is in a file, or in the module at the end, when
    we look at it, wherever the user has listed us. A new list, since the trainer walks the old one.
    """
    files = trainer.checkpoint_callbacks
    run: Any = trainer  # its list of callbacks is not declared
    others = [each for each in run.callbacks if each is not callback and each not in files]
    run.callbacks = [*others, callback, *files]
