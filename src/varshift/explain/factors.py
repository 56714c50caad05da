"""From what a site received in each lane to its factors and displacements, each with its error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from varshift.explain.lanes import Spread
from varshift.explain.results import CAUSES, Cause, Factors, Figure
from varshift.measure.tally import jackknife_error

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


@dataclass(frozen=True, eq=False)
class _Move:
    """What a cause does per channel: mean shift in stored deviations and log variance ratio,
    (1 + G, C) each, with what their sampling errors make of the squares, (C,).
    """

    mean: Tensor
    log: Tensor
    mean_error: Tensor
    log_error: Tensor

    def square(self, live: Tensor) -> Tensor:
        """Mean over live channels of the squared displacement, errors taken off: (1 + G,)."""
        raw = self.mean.square() + self.log.square() / 4
        error = self.mean_error + self.log_error / 4
        return raw[:, live].mean(1) - error[live].mean()


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
    squares = _squares(lanes, live)
    means = {cause: move for cause, move in _moves(lanes).items() if cause in CAUSES}
    return Factors(
        path=lanes.path,
        **figures,
        displacement={cause: _root(squares[cause]) for cause in CAUSES},
        mean_shift={cause: _rms_mean(move, live) for cause, move in means.items()},
        channels=channels,
        live=live,
    )


def _live(lanes: SiteLanes) -> Tensor:
    """Channels that vary beyond the rounding of their own mean in every lane."""
    seen = [lanes.train, lanes.noisy, lanes.clean, lanes.test, lanes.data or lanes.test]
    varies = [s.var[0] > (8 * lanes.precision * s.mean[0]).square() for s in seen]
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
    square = _jackknife(logs).square()
    if apart is not None and len(apart) > 1:
        square = square + _jackknife(apart).square()
    return Figure(value, value * float(square.sqrt()))


def _jackknife(rows: Tensor) -> Tensor:
    """Standard error from everything (row 0) and the leave-one-out rows; 0 where there are none."""
    return jackknife_error(rows[1:]) if len(rows) > 1 else torch.zeros_like(rows[0])


def _moves(lanes: SiteLanes) -> dict[str, _Move]:
    data = lanes.data or lanes.test
    apart = lanes.data is not None
    return {
        "noise": _move(lanes, lanes.clean, lanes.noisy),
        "staleness": _move(lanes, lanes.within, lanes.stored),
        "small-batch": _move(lanes, lanes.noisy, lanes.train),
        "data": _move(lanes, data, lanes.test, apart=apart),
        "composition": _move(lanes, lanes.train, lanes.within),
    }


def _move(lanes: SiteLanes, to: Spread, start: Spread, *, apart: bool = False) -> _Move:
    unit = lanes.stored.var[0].clamp(min=1e-300).sqrt()
    if apart:  # other samples: the two errors add, and each has rows of its own
        mean_errors = [_jackknife(s.mean / unit).square() for s in (to, start)]
        log_errors = [_jackknife(s.var.log()).square() for s in (to, start)]
        to, start = _whole(to), start
        mean_error, log_error = (
            sum(mean_errors[1:], mean_errors[0]),
            sum(log_errors[1:], log_errors[0]),
        )
        mean, log = (to.mean - start.mean) / unit, to.var.log() - start.var.log()
        return _Move(mean, log, mean_error, log_error)
    mean, log = (to.mean - start.mean) / unit, to.var.log() - start.var.log()
    return _Move(mean, log, _jackknife(mean).square(), _jackknife(log).square())


def _whole(spread: Spread) -> Spread:
    return Spread(spread.mean[:1], spread.var[:1])


def _squares(lanes: SiteLanes, live: Tensor) -> dict[Cause, Tensor]:
    """Squared displacement by cause, (1 + G,) each.

    What the moving average inherits of the scatter between batches is the fault of small batches,
    not of age.
    """
    if not bool(live.any()):
        return {cause: torch.zeros(1, dtype=torch.float64) for cause in CAUSES}
    moves = {name: move.square(live) for name, move in _moves(lanes).items()}
    mean, var = lanes.inherited
    stored = lanes.stored.var[0]
    inherited = (mean / stored + var / stored.square() / 4).nan_to_num(0.0)[live].mean()
    return {
        "noise": moves["noise"],
        "staleness": moves["staleness"] - inherited,
        "small-batch": moves["small-batch"].clamp(min=0)
        + moves["composition"].clamp(min=0)
        + inherited,
        "data": moves["data"],
    }


def _root(squares: Tensor) -> Figure:
    roots = squares.clamp(min=0).sqrt()
    return Figure(float(roots[0]), float(_jackknife(roots)))


def _rms_mean(move: _Move, live: Tensor) -> Figure:
    if not bool(live.any()):
        return Figure(0.0, 0.0)
    return _root(move.mean.square()[:, live].mean(1) - move.mean_error[live].mean())
