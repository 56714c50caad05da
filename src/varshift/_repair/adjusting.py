"""The paper's own repair, for comparison: moving averages in evaluation mode. [li2019disharmony]

Parameters fixed, noise off, the statistics a moving average of unbiased batch variances (and of
batch means). The paper leaves open when they are swapped; both readings are here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from varshift._engine import (
    Batch,
    Edit,
    Fixed,
    Handle,
    NormCall,
    Regime,
    Session,
    channel_moments,
    edit_of,
)

__all__ = ["adjusted"]

_MOMENTUM = 0.1


def adjusted(
    run: Session,
    held: Sequence[Batch],
    wanted: Callable[[str], bool],
    *,
    live: bool,
    step: Callable[[int], None] = lambda passes: None,
) -> Edit:
    """Statistics adjusted at once or live.

    `live=False`: all norms use the stored statistics until the end, then all are swapped. `live`:
    each batch is normalised by the average so far, its own part included, so that a norm soon sees
    what the adjusted norms before it send.
    """
    averages: dict[str, _Average] = {}

    def taken(call: NormCall) -> NormCall | None:
        moments = channel_moments(call.x)
        if wanted(call.path) and moments.count > 1:
            average = averages.setdefault(call.path, _Average.of(call.handle))
            average.add(moments.mean, moments.var())
        known = averages.get(call.path) if live else None
        return None if known is None else call.fixed(Fixed(known.mean, known.var))

    for batch in held:
        run.once(batch, Regime("evaluation", norms=taken))
        step(1)
    return edit_of(run.model, [pair for average in averages.values() for pair in average.pairs()])


@dataclass(eq=False)
class _Average:
    """The moving average of one site, in float64, begun at what is stored."""

    site: Handle
    mean: Tensor
    var: Tensor

    @classmethod
    def of(cls, site: Handle) -> _Average:
        return cls(site, site.running_mean.detach().double(), site.running_var.detach().double())

    def add(self, mean: Tensor, var: Tensor) -> None:
        self.mean = self.mean.lerp(mean.to(self.mean.device), _MOMENTUM)
        self.var = self.var.lerp(var.to(self.var.device), _MOMENTUM)

    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        return [(self.site.running_mean, self.mean), (self.site.running_var, self.var)]
