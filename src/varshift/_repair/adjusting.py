"""The paper's own repair, for comparison: moving averages in evaluation mode. [li2019disharmony]

Parameters fixed, noise off, the statistics a moving average of unbiased batch variances (and of
batch means). The paper leaves open when they are swapped; both readings are here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.borrow.model import set_training
from varshift._engine.normcall import NormCall
from varshift._engine.record.moments import channel_moments
from varshift._engine.sites import Handle
from varshift._engine.tap import Tap
from varshift._repair.edits import Edit, edit_of
from varshift._repair.teaching import off_flags

__all__ = ["adjusted"]

_MOMENTUM = 0.1


def adjusted(
    model: nn.Module,
    held: Sequence[Batch],
    wanted: Callable[[str], bool],
    *,
    live: bool,
    forward: Forward | None,
    step: Callable[[int], None] = lambda passes: None,
) -> Edit:
    """Statistics adjusted at once or live; the model must be borrowed, and comes back through that.

    `live=False`: all norms use the stored statistics until the end, then all are swapped. `live`:
    each batch is normalised by the average so far, its own part included, so that a norm soon sees
    what the adjusted norms before it send.
    """
    set_training(off_flags(model))
    averages: dict[str, _Average] = {}

    def take(call: NormCall) -> None:
        site, x = call.handle, call.x
        moments = channel_moments(x)
        if wanted(site.path) and moments.count > 1:
            average = averages.setdefault(site.path, _Average.of(site))
            average.add(moments.mean, moments.var())
            if live:
                site.running_mean.copy_(average.mean)
                site.running_var.copy_(average.var)

    for batch in held:
        with torch.no_grad(), Tap(model, take):
            call(model, batch, forward)
        step(1)
    return edit_of(
        model,
        [pair for average in averages.values() for pair in average.pairs()],
    )


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
