"""From what a site received in each lane to its factors, each with its error."""

from __future__ import annotations

import torch
from torch import Tensor

from varshift._explain.displaced import displacements
from varshift._explain.figures import error_of
from varshift._explain.spread import SiteLanes, Spread
from varshift.results import Factors, Figure

__all__ = ["factors_of"]

_FACTORS = {
    "total": ("data", "stored"),
    "noise": ("test", "train"),
    "staleness": ("train", "stored"),
    "data": ("data", "test"),
    "alone": ("clean", "noisy"),
    "batches": ("noisy", "train"),
    "carried": ("test", "clean"),
    "composition": ("train", "within"),
    "age": ("within", "stored"),
}


def factors_of(lanes: SiteLanes) -> Factors:
    """The finished record of one site."""
    live, reached = lanes.varying & (lanes.stored.var[0] > 0), lanes.reached
    told = live if bool(live.any()) else reached
    figures, channels = {}, {}
    for name, (over, under) in _FACTORS.items():
        logs, apart = _log_ratio(lanes, over, under)
        figures[name] = _figure(logs[:, told].mean(1), apart[:, told].mean(1))
        channels[name] = torch.where(reached, logs[0].exp(), torch.nan)
    displacement, mean_shift, off = displacements(lanes, live)
    return Factors(
        path=lanes.path,
        **figures,
        displacement=displacement,
        mean_shift=mean_shift,
        channels=channels,
        live=live,
        off=off,
    )


def _lane(lanes: SiteLanes, name: str) -> Spread:
    lane: Spread | None = getattr(lanes, name)
    return lanes.test if lane is None else lane


def _log_ratio(lanes: SiteLanes, over: str, under: str) -> tuple[Tensor, Tensor]:
    """log(over ÷ under): rows of the training batches' groups, and rows of the test data's own."""
    one, other = _lane(lanes, over), _lane(lanes, under)
    alone = over == "data" and lanes.data is not None
    first = one.var[:1].log() - other.var.log() if alone else one.var.log() - other.var.log()
    apart = one.var.log() - other.var[:1].log() if alone else first[:1]
    return first, apart


def _figure(logs: Tensor, apart: Tensor) -> Figure:
    value = float(logs[0].exp())
    square = error_of(logs).square()
    if len(apart) > 1:
        square = square + error_of(apart).square()
    return Figure(value, value * float(square.sqrt()))
