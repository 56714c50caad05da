"""What a norm has stored, as it will use it at test."""

from __future__ import annotations

from torch import Tensor

from varshift._engine.sites import Handle
from varshift.results.measurement import Statistics

__all__ = ["stored_statistics"]


def stored_statistics(site: Handle) -> Statistics:
    """What the norm has stored, as `Statistics`; `count` is the number of batches tracked."""
    tracked = getattr(site.module, "num_batches_tracked", None)
    return Statistics(
        mean=site.running_mean.detach().double().cpu().clone(),
        var=site.running_var.detach().double().cpu().clone(),
        count=int(tracked) if isinstance(tracked, Tensor) else 0,
    )
