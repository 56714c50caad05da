"""One look at the module before it is trained: what will shift, by the linter's codes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from varshift._check.checking import check
from varshift._engine import Forward
from varshift.errors import ForwardError, VarshiftError
from varshift.integrations.lightning.running import beside_training

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

__all__ = ["lint"]


def lint(trainer: Trainer, module: LightningModule, batch: Any, forward: Forward | None) -> None:
    """Warn of what `vs.check` finds on this batch. The module and generators come back as lent.

    One process looks and speaks; the others need not wait, since nothing is exchanged.
    """
    if not trainer.is_global_zero:
        return
    try:
        with beside_training(trainer, module):
            found = check(module, batch, forward=forward)
    except ForwardError:
        raise  # what calibrates would raise the same, an epoch later
    except VarshiftError as error:
        warnings.warn(f"the model could not be checked before training: {error}", stacklevel=2)
        return
    if not found:
        return
    lines = [f"{each.code} {each.place}: {each.message}" for each in found]
    warnings.warn(
        "before training, varshift finds in "
        f"{type(module).__name__} (lint=False turns this off):\n" + "\n".join(lines),
        stacklevel=2,
    )
