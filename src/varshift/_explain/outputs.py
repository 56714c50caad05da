"""The model's outputs with noise on and off."""

from __future__ import annotations

import math

from torch import Tensor

from varshift._explain.figures import (
    error_of,
    figure_of,
    root_mean_square,
    square_error_of,
)
from varshift._explain.moves import Move, move
from varshift._explain.spread import PlaceLanes, Spread
from varshift.results import Figure, Output
from varshift.results.explanation import Cause

__all__ = ["moves_of", "output_of"]


def moves_of(place: PlaceLanes) -> dict[Cause, tuple[Figure, Figure]]:
    """By cause, the displacement of an output, and how far its mean moves, in deviations."""
    unit = place.noisy.var[0].clamp(min=1e-300).sqrt()
    found: dict[Cause, Move] = {"noise": move(place.silent or place.signal, place.noisy, unit)}
    if place.own is not None:
        found["other-norms"] = move(place.own, place.signal, unit)
    if place.silent is not None:
        found["unattributed"] = move(place.signal, place.silent, unit)
    spreads = [place.signal, place.noisy, *(s for s in (place.own, place.silent) if s is not None)]
    live = place.noisy.var[0] > 0
    for spread in spreads:
        live = live & (spread.var[0] > 0)
    return {
        cause: (each.displacement(live), each.mean_shift(live)) for cause, each in found.items()
    }


def output_of(name: str, noisy: Spread, clean: Spread) -> Output:
    """One output with noise on and off."""
    shift = noisy.mean - clean.mean
    unit = noisy.var[0].clamp(min=1e-300).sqrt()
    live = noisy.var[0] > 0
    return Output(
        name=name,
        mean_shift=root_mean_square(shift / unit, square_error_of(shift / unit), live),
        var_ratio=_ratio(clean, noisy, live),
        mean_on=noisy.mean[0],
        mean_off=clean.mean[0],
        var_on=noisy.var[0],
        var_off=clean.var[0],
        mean_se=error_of(shift),
    )


def _ratio(clean: Spread, noisy: Spread, live: Tensor) -> Figure:
    both = live & (clean.var[0] > 0)
    if not bool(both.any()):
        return Figure(math.nan, math.nan)
    return figure_of((clean.var.log() - noisy.var.log())[:, both].mean(1).exp())
