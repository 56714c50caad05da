"""The model's own noise is turned off: the noise put in takes its place."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.borrow.model import Buffers, set_training, training_flags
from varshift._engine.borrow.rng import drawn_from, rng_state

__all__ = ["silence"]


def silence(model: nn.Module, batch: Batch, forward: Forward | None) -> list[str]:
    """Turn off the model's own noise; say what was done and what stays."""
    active = [
        module for module in model.modules() if isinstance(module, _DropoutNd) and module.training
    ]
    set_training([(module, False) for module in active])
    said = "1 dropout module of the model was" if len(active) == 1 else _MANY.format(len(active))
    notes = [said + _SILENCED] if any(module.p for module in active) else []
    if not _draws(model, batch, forward):
        return notes
    set_training([(m, False) for m, _ in training_flags(model) if not isinstance(m, _BatchNorm)])
    if not _draws(model, batch, forward):
        return [*notes, _ONLY_NORMS]
    return [*notes, _ONLY_NORMS, _LASTING]


_MANY = "{} dropout modules of the model were"
_SILENCED = " silenced: the noise judged here replaces theirs"
_ONLY_NORMS = (
    "the model draws random numbers beside its dropout modules, so everything but its norms ran in "
    "evaluation mode"
)
_LASTING = (
    "the model draws random numbers even so: that noise stays on, and the figures tell what the "
    "stored variances remember beyond it"
)


def _draws(model: nn.Module, batch: Batch, forward: Forward | None) -> bool:
    buffers, before = Buffers(model), rng_state()
    call(model, batch, forward)
    buffers.restore()
    return bool(drawn_from(before, rng_state()))
