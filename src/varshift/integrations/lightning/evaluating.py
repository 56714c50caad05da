"""Noise-off statistics for the time of each evaluated batch, found once per evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from varshift.integrations.lightning.exchange import Placed
from varshift.integrations.lightning.running import beside_training

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

__all__ = ["Evaluation", "Loss", "gain_on", "log"]

Loss = Callable[[Any, Any], Tensor]


class Evaluation:
    """In at the start of a batch, out at its end: between batches the module is training's own.

    So it nests inside whatever puts other weights in for an evaluation, in either order, needs no
    guess at which batch is the last, and leaves nothing to undo when a loader raises.
    """

    def __init__(self) -> None:
        self._sought = False
        self._placed: Placed | None = None
        self._inside = False

    def begin(self) -> None:
        """Weights may have moved since the last evaluation."""
        self._sought, self._placed = False, None

    def enter(self, find: Callable[[], Placed | None]) -> None:
        """Before a batch; the first one finds the statistics."""
        if not self._sought:
            self._sought, self._placed = True, find()
        if self._placed is not None:
            self._inside = True  # first, so that an interrupted exchange is undone
            self._placed.put_in()

    def leave(self) -> None:
        """After a batch, or when anything raised."""
        if self._inside and self._placed is not None:
            self._placed.put_back()
        self._inside = False


def gain_on(
    trainer: Trainer, module: LightningModule, batch: Any, placed: Placed, loss: Loss
) -> dict[str, float]:
    """The loss of one batch under both sets of statistics, and by how much the second is lower."""
    devices = [module.device] if module.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.no_grad(),
        beside_training(trainer, module),
    ):
        before = float(loss(module, batch))
        try:
            placed.put_in()
            after = float(loss(module, batch))
        finally:
            placed.put_back()
    return {
        "varshift/loss_training_statistics": before,
        "varshift/loss_noise_off": after,
        "varshift/gain": before - after,
    }


def log(trainer: Trainer, module: LightningModule, metrics: dict[str, float]) -> None:
    """To the trainer's loggers and `callback_metrics`, once per evaluation."""
    module.log_dict(
        metrics,
        on_step=False,
        on_epoch=True,
        batch_size=1,
        add_dataloader_idx=False,
        sync_dist=trainer.world_size > 1,
    )
