"""The model's own noise is turned off: the noise put in takes its place."""

from __future__ import annotations

from varshift._counting import counted, verb
from varshift._engine import Batch, Flags, Regime, Session
from varshift._torch.classes import BatchNorm, Dropout

__all__ = ["silence"]


def silence(run: Session, batch: Batch | None) -> tuple[Flags, list[str]]:
    """Training flags under which the model's own noise is off; what was done and what stays."""
    active = {id(m): m for m, on in run.on if on and isinstance(m, Dropout)}
    flags = [(module, on and id(module) not in active) for module, on in run.on]
    notes = [_silenced(len(active))] if any(module.p for module in active.values()) else []
    if not _draws(run, batch, flags):
        return flags, notes
    flags = [(module, on and isinstance(module, BatchNorm)) for module, on in flags]
    if not _draws(run, batch, flags):
        return flags, [*notes, _ONLY_NORMS]
    return flags, [*notes, _ONLY_NORMS, _LASTING]


_ONLY_NORMS = (
    "the model draws random numbers outside its dropout modules, so everything but its norms ran "
    "in evaluation mode"
)
_LASTING = (
    "the model draws random numbers even so: that noise stays on, and the figures show the noise "
    "that the stored variances remember beyond it"
)


def _silenced(modules: int) -> str:
    said = f"{counted(modules, 'dropout module')} of the model {verb(modules, 'were')} silenced"
    return f"{said}: the noise judged here replaces theirs"


def _draws(run: Session, batch: Batch | None, flags: Flags) -> bool:
    """Whether a pass draws on any rank; a rank without a batch has nothing to say."""
    return run.ranks.any(batch is not None and bool(run.moved(batch, Regime(flags))))
