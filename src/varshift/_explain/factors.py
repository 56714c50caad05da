"""From what a site received in each lane to its factors and displacements, each with its error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._engine import rounding
from varshift._explain.figures import error_of, figure_of
from varshift._explain.moves import Move, move
from varshift._explain.spread import Spread
from varshift.results import Factors, Figure
from varshift.results.explanation import CAUSES, FOUND, Cause

__all__ = ["SiteLanes", "factors_of"]

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


@dataclass(frozen=True, eq=False)
class SiteLanes:
    """What one site received, lane by lane; the means of `within` are those of `train`.

    `clean` is with the norms of training; `own` the same with those of evaluation, where these are
    others and it shows. `silent`: as in training, every source silenced, where something else is
    left that no draw explains.
    `inherited`: variance that the moving average keeps of the scatter between batches, of the mean
    and of the variance, (C,) each. `precision`: of the numbers, for telling dead channels.
    """

    path: str
    stored: Spread
    within: Spread
    train: Spread
    noisy: Spread
    clean: Spread
    test: Spread
    data: Spread | None
    inherited: tuple[Tensor, Tensor]
    precision: float
    own: Spread | None = None
    silent: Spread | None = None


def factors_of(lanes: SiteLanes) -> Factors:
    """The finished record of one site."""
    live = _live(lanes)
    figures, channels = {}, {}
    for name, (over, under) in _FACTORS.items():
        logs = _log_ratio(lanes, over, under)
        values = [
            row[live].mean() if bool(live.any()) else row.new_tensor(torch.nan) for row in logs[0]
        ]
        apart = torch.stack([row[live].mean() for row in logs[1]]) if bool(live.any()) else None
        figures[name] = _figure(torch.stack(values), apart)
        channels[name] = torch.where(live, logs[0][0].exp(), torch.nan)
    moves = _moves(lanes)
    return Factors(
        path=lanes.path,
        **figures,
        displacement=_displacements(lanes, moves, live),
        mean_shift={cause: moves[cause].mean_shift(live) for cause in _causes(moves)},
        channels=channels,
        live=live,
    )


def _live(lanes: SiteLanes) -> Tensor:
    """Channels that vary beyond the rounding of their own mean in every lane."""
    seen = [lanes.train, lanes.noisy, lanes.clean, lanes.test, lanes.data or lanes.test]
    varies = [s.var[0] > rounding(s.mean[0], lanes.precision) for s in seen]
    return torch.stack([*varies, lanes.stored.var[0] > 0]).all(0)


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


def _figure(logs: Tensor, apart: Tensor | None) -> Figure:
    value = float(logs[0].exp())
    square = error_of(logs).square()
    if apart is not None and len(apart) > 1:
        square = square + error_of(apart).square()
    return Figure(value, value * float(square.sqrt()))


def _moves(lanes: SiteLanes) -> dict[str, Move]:
    data, unit = lanes.data or lanes.test, lanes.stored.var[0].clamp(min=1e-300).sqrt()
    silent = lanes.silent or lanes.clean
    moves = {
        "noise": move(silent, lanes.noisy, unit),
        "staleness": move(lanes.within, lanes.stored, unit),
        "small-batch": move(lanes.noisy, lanes.train, unit),
        "data": move(data, lanes.test, unit, apart=lanes.data is not None),
        "composition": move(lanes.train, lanes.within, unit),
    }
    if lanes.own is not None:
        moves["other-norms"] = move(lanes.own, lanes.clean, unit)
    if lanes.silent is not None:
        moves["unattributed"] = move(lanes.clean, lanes.silent, unit)
    return moves


def _displacements(lanes: SiteLanes, moves: dict[str, Move], live: Tensor) -> dict[Cause, Figure]:
    """Displacement by cause.

    What the moving average inherits of the scatter between batches is the fault of small batches,
    not of age.
    """
    if not bool(live.any()):
        return {cause: Figure(0.0, 0.0) for cause in _causes(moves)}
    squares = {name: move.square(live) for name, move in moves.items()}
    mean, var = lanes.inherited
    stored = lanes.stored.var[0]
    inherited = (mean / stored + var / stored.square() / 4).nan_to_num(0.0)[live].mean()
    of_batches = squares["small-batch"].clamp(min=0) + squares["composition"].clamp(min=0)
    by_cause: dict[str, Tensor] = squares | {
        "staleness": squares["staleness"] - inherited,
        "small-batch": of_batches + inherited,
    }
    return {cause: figure_of(by_cause[cause].clamp(min=0).sqrt()) for cause in _causes(moves)}


def _causes(moves: Mapping[str, Move]) -> tuple[Cause, ...]:
    """Those that are always asked, and those that there are."""
    return (*CAUSES, *(cause for cause in FOUND if cause in moves))
