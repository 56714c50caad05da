"""What each cause does to the output of a norm, in deviations of that output.

A norm divides by √(var + eps). So means count in these units, and a variance far below eps, as
weight decay leaves it in channels that nothing uses, may change manifold without an effect; one
that is stored as 0 while something arrives is a displacement like any other, however large.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from varshift._explain.moves import Move, move
from varshift._explain.spread import SiteLanes, Spread
from varshift._measure.staleness import NOTHING
from varshift.results import Figure
from varshift.results.explanation import CAUSES, FOUND, Cause

__all__ = ["displacements"]

_ANEW = 0.01  # of the square that a moving average inherits


def displacements(
    lanes: SiteLanes, live: Tensor
) -> tuple[dict[Cause, Figure], dict[Cause, Figure], Figure]:
    """By cause the displacement, and how far means move; and what is stored against evaluation.

    `live`, (C,) bool: channels that vary in every lane and have stored that they do.
    """
    counted = live
    if lanes.eps > 0:  # no ratio to 0 is a number where nothing is added
        counted = lanes.varying if bool(lanes.varying.any()) else lanes.reached
    unit = _unit(lanes)
    moves = _moves(lanes, unit)
    causes = (*CAUSES, *(cause for cause in FOUND if cause in moves))
    means = {cause: moves[cause].mean_shift(counted) for cause in causes}
    if not bool(counted.any()):
        return dict.fromkeys(causes, Figure(0.0, 0.0)), means, Figure(0.0, 0.0)
    squares = _squares(lanes, moves, unit, counted)
    sizes = {cause: moves[cause].displacement(counted, squares[cause]) for cause in causes}
    return sizes, means, moves["off"].displacement(counted)


def _unit(lanes: SiteLanes) -> Tensor:
    """What a norm divides by, squared, (C,).

    Where next to nothing is stored, every mean is far off by that, if only by its sampling error:
    there it is what arrives in evaluation.
    """
    stored, test = lanes.stored.var[0], lanes.test.var[0]
    known = lanes.varying & (stored > NOTHING * test)
    return (torch.where(known, stored, torch.maximum(stored, test)) + lanes.eps).clamp(min=1e-300)


def _moves(lanes: SiteLanes, unit: Tensor) -> dict[str, Move]:
    """By cause or part of one; "off" is from what is stored to what evaluation receives."""

    def divided(lane: Spread) -> Spread:
        return Spread(lane.mean, lane.var.clamp(min=0) + lanes.eps)

    stored, within, train = divided(lanes.stored), divided(lanes.within), divided(lanes.train)
    noisy, clean, test = divided(lanes.noisy), divided(lanes.clean), divided(lanes.test)
    data = test if lanes.data is None else divided(lanes.data)
    silent = clean if lanes.silent is None else divided(lanes.silent)
    unit = unit.sqrt()
    moves = {
        "noise": move(silent, noisy, unit),
        "staleness": move(within, stored, unit),
        "small-batch": move(noisy, train, unit),
        "data": move(data, test, unit, apart=lanes.data is not None),
        "composition": move(train, within, unit),
        "off": move(test, stored, unit),
    }
    if lanes.own is not None:
        moves["other-norms"] = move(divided(lanes.own), clean, unit)
    if lanes.silent is not None:
        moves["unattributed"] = move(clean, silent, unit)
    return moves


def _squares(
    lanes: SiteLanes, moves: Mapping[str, Move], unit: Tensor, live: Tensor
) -> dict[str, Tensor]:
    """Of displacements, by cause.

    What the moving average inherits of the scatter between batches is the fault of small batches,
    not of age. Statistics that fit evaluation far better than any such average does were taken
    anew: they are not stale, nor is what differs between batches missing in them, though training
    receives something else.
    """
    squares = {name: move.square(live) for name, move in moves.items()}
    mean, var = lanes.inherited
    inherited = (mean / unit + var / unit.square() / 4).nan_to_num(0.0)[live].mean()
    age = squares["staleness"] - inherited
    if moves["off"].raw(live)[0] < _ANEW * inherited:
        return squares | {"staleness": squares["off"]}
    of_batches = squares["small-batch"].clamp(min=0) + squares["composition"].clamp(min=0)
    return squares | {
        "staleness": age,
        "small-batch": of_batches + inherited,
    }
