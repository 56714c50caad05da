"""How a module is run beside training: under the trainer's precision, and without a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from varshift.integrations.silent import silent

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

__all__ = ["beside_training"]


@contextmanager
def beside_training(trainer: Trainer, module: LightningModule) -> Iterator[None]:
    """In the block nothing that the module logs reaches metrics or loggers.

    What follows a metric (early stopping, the best file) would follow our passes otherwise. A
    logger's `experiment` is its library's own, and is not silenced.
    """
    with (
        silent([module], ("log", "log_dict")),
        silent(trainer.loggers, ("log_metrics",)),
        # Lightning enters the precision's context around a step alone, not around hooks.
        trainer.precision_plugin.forward_context(),
    ):
        yield
