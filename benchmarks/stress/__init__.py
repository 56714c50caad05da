"""Moments under stress, against two passes in float64 over what plain hooks see at the norms.

A network with one dropout in front of a norm (a) and of a layer with a norm (b) gets data whose
means, scales and number formats make moments hard to compute. Errors are the largest over
channels and both norms: of a variance and of Δ relative to themselves, of a mean relative to the
larger of mean and deviation. A channel that is constant has no relative error: there the figure is
the deviation that was found over the channel's mean. What `recalibrate` wrote is compared as it
stands in the buffers, so a network in half precision is held to a half's own rounding. For
`predict` the truth is the closed form on the float64 moments of the data.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from rich.console import Console
from torch import Tensor

import varshift as vs
from benchmarks.lines import Line, aimed, asked
from benchmarks.stress.cases import DROP_P, Both, Case, cases
from benchmarks.stress.truth import Exact, kept, passed

__all__ = ["Errors", "judged", "run"]

TITLE = "Numbers under stress"
PAGE = "results/stress.md"
BAR = 1e-6
_TAU = DROP_P / (1 - DROP_P)
_HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Errors:
    """The largest error of each figure of one verb, and the bar for them."""

    verb: str
    found: dict[str, float]
    bar: float

    @property
    def worst(self) -> float:
        """NaN counts as infinite."""
        return max(math.inf if math.isnan(error) else error for error in self.found.values())


def run(console: Console, only: str = "") -> Iterator[Line]:
    """One line per case and verb."""
    for case in cases():
        if asked(case.name, only):
            for errors in judged(case):
                cells = {name: f"{error:.1e}" for name, error in errors.found.items()}
                yield Line(
                    errors.verb, case.name, {**cells}, **aimed(errors.worst, errors.bar, ".1e")
                )


def judged(case: Case) -> Iterator[Errors]:
    """What each verb errs by."""
    for verb in case.verbs:
        yield _JUDGES[verb](case)


def _recalibrated(case: Case) -> Errors:
    net, batches = case.net(), case.split(case.x)
    vs.recalibrate(net, batches)
    truth = passed(net, [case.x] if case.whole else batches)
    pairs = [(exact, net.get_submodule(path)) for path, exact in truth.items()]
    found = {
        "mean": [_of_mean(norm.running_mean, exact) for exact, norm in pairs],
        "variance": [_of_var(norm.running_var, exact) for exact, norm in pairs],
    }
    # The nearest number in half precision is half a step away at most.
    step = torch.finfo(case.x.dtype).eps if case.x.dtype in _HALF else 0.0
    bar = BAR + step / 2
    return _worst("recalibrate", found, bar)


def _measured(case: Case) -> Errors:
    net, batches = case.net(), case.split(case.x)
    with kept(net) as inputs:
        m = vs.measure(net, batches)
    found: dict[str, list[Tensor]] = {"mean": [], "variance": [], "Δ": []}
    for path, site in m.sites.items():
        train, test = (Exact.of(inputs[mode][path]) for mode in (True, False))
        for exact, got in ((train, site.train), (test, site.test)):
            found["mean"].append(_of_mean(got.mean, exact))
            found["variance"].append(_of_var(got.var, exact))
        errors = _of_delta(site.delta, test.var / train.var).where(site.live, 0.0)
        step = torch.finfo(case.x.dtype).eps
        found["Δ"].append(errors.where(_is_told(site.live, train, test, step), math.inf))
    return _worst("measure", found)


def _predicted(case: Case) -> Errors:
    net, batches = case.net(), case.split(case.x)
    f = vs.predict(net, batches)
    energies = _energies(net, case.x.double())
    deltas = []
    for path, exact in passed(net, batches).items():
        alive = (exact.var > 0) & (energies[path] > 0)
        delta = exact.var / (exact.var + _TAU * energies[path])
        deltas.append(_of_delta(f.sites[path].delta[alive], delta[alive]))
    return _worst("predict", {"Δ": deltas})


@torch.no_grad()
def _energies(net: Both, x: Tensor) -> dict[str, Tensor]:
    """N of both norms by the laws of docs/theory.md: E[x²], and Σ w² E[x²] behind weights."""
    layer = copy.deepcopy(net.layer).double()
    layer.weight.square_()
    layer.bias.zero_()
    squares = x.square()
    return {
        path: values.movedim(1, 0).flatten(1).mean(1)
        for path, values in (("direct", squares), ("behind", layer(squares)))
    }


_JUDGES: dict[str, Callable[[Case], Errors]] = {
    "recalibrate": _recalibrated,
    "measure": _measured,
    "predict": _predicted,
}


def _worst(verb: str, found: dict[str, list[Tensor]], bar: float = BAR) -> Errors:
    """Of all channels of all norms; NaN stays NaN."""
    largest = {name: float(torch.cat(errors).max()) for name, errors in found.items()}
    return Errors(verb, largest, bar)


def _is_told(live: Tensor, train: Exact, test: Exact, step: float) -> Tensor:
    """Whether a channel that varies is told from one that does not; at rounding's edge, either."""
    varies = (train.deviations > 4 * step) | (test.deviations > 4 * step)
    still = (train.var == 0) & (test.var == 0)
    return torch.where(live, ~still, ~varies)


def _of_mean(found: Tensor, exact: Exact) -> Tensor:
    scale = torch.maximum(exact.mean.abs(), exact.var.sqrt())
    return (found.double() - exact.mean).abs() / scale.where(scale > 0, 1.0)


def _of_var(found: Tensor, exact: Exact) -> Tensor:
    relative = (found.double() - exact.var).abs() / exact.var
    constant = found.double().sqrt() / exact.mean.abs().where(exact.mean != 0, 1.0)
    return torch.where(exact.var > 0, relative, constant)


def _of_delta(found: Tensor, delta: Tensor) -> Tensor:
    """A Δ of 0, of a channel that only noise moves, must be met exactly."""
    return (found - delta).abs() / delta.where(delta > 0, 1.0)
