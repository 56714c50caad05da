"""What each norm receives, batch by batch, while noise is put in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from varshift._engine import (
    Batch,
    Flags,
    NormCall,
    Recorder,
    Regime,
    Session,
    channel_moments,
)
from varshift._footprint.injecting import Injector, Nudge
from varshift._footprint.places import NoisePlace
from varshift.errors import ModelError

__all__ = [
    "LEAST_LEFT",
    "NUDGE",
    "Inside",
    "Lever",
    "PassSetting",
    "Received",
    "noisy_pass",
    "probing_pass",
]

LEAST_LEFT = 0.01  # of the variance, where noise seems to be nearly all of it
NUDGE = 0.25  # relative variance: large against rounding, small against what rates differ by


Moved = tuple[Tensor, Tensor]  # of variance and mean


@dataclass(eq=False)
class Received:
    """What one norm received: unbiased variance and mean of each batch, (C,) each."""

    variances: list[Tensor] = field(default_factory=list)
    means: list[Tensor] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Lever:
    """What each unit of a place's τ does to a norm's input, (C,) each.

    `var`: what it adds to the variance, relative to that without any noise put in before this norm.
    `mean`: by how much it moves the mean. `shared`: covariance, in a single batch, of `var` with
    the relative variance received: what is divided by a variance errs as that does.
    """

    var: Tensor
    mean: Tensor
    shared: Tensor


class Inside(Recorder):
    """What the norms at `paths` receive while an injector works. `hold` keeps this batch's inputs.

    Inputs are copies: a residual block may add to one in place once the norm has run.
    """

    def __init__(self, paths: Iterable[str], injector: Injector, hold: bool = False) -> None:
        self.seen = {path: Received() for path in paths}
        self.inputs: dict[str, Tensor] = {}
        self.injector, self._hold = injector, hold

    def begin(self, batch: Batch) -> None:
        """A batch starts."""
        self._batch = batch
        self.inputs.clear()
        self.injector.begin(batch)

    def norm(self, call: NormCall) -> None:
        """A norm is about to normalise its input."""
        seen = self.seen.get(call.path)
        if seen is None:
            return
        moments = channel_moments(call.x)
        if not bool(torch.isfinite(moments.m2).all()):
            raise ModelError(
                f"the input of {call.path!r} holds NaN or infinity on batch {self._batch.index}, "
                "though the batch itself is finite: the model overflows before it"
            )
        seen.variances.append(moments.var().cpu())
        seen.means.append(moments.mean.cpu())
        seen.samples.append(self._batch.samples)
        if self._hold:
            self.inputs[call.path] = call.x.detach().clone()

    def as_before(self, call: NormCall) -> NormCall | None:
        """A norm answers as it did in the pass held here: what reached its input ends there."""
        held = self.inputs.get(call.path)
        return None if held is None else call.given(input=held)


@dataclass(frozen=True, eq=False)
class PassSetting:
    """How the passes of one estimate are run: `paths` of the norms judged, a number per place."""

    run: Session
    flags: Flags
    paths: tuple[str, ...]
    numbers: Mapping[NoisePlace, int]


def noisy_pass(
    setting: PassSetting,
    taus: Mapping[NoisePlace, float],
    data: list[Batch],
    step: Callable[[int, Batch], None],
) -> dict[str, Received]:
    """All batches of all ranks once with that noise, by batch statistics; alike on every rank."""
    run = setting.run
    injector = Injector(setting.numbers, taus, first=_before(run, len(data)))
    inside = Inside(setting.paths, injector)
    regime = Regime(setting.flags, record=(inside,), insert=injector.inserts())
    run.run(data, {"injected": regime}, step)
    return _together(run.ranks.gather(inside.seen))


def probing_pass(
    setting: PassSetting,
    taus: Mapping[NoisePlace, float],
    groups: list[list[NoisePlace]],
    reach: Mapping[NoisePlace, tuple[str, ...]],
    data: list[Batch],
) -> dict[NoisePlace, dict[str, Lever]]:
    """By place and norm, what follows from noise there where no judged norm lies between.

    Finite differences over common random numbers: the same masks, a little more noise at one place.
    The places of a group reach different norms, so one pass tells them all.
    """
    run = setting.run
    first = _before(run, len(data))
    base = Inside(setting.paths, Injector(setting.numbers, taus, first=first), hold=True)
    regimes = {"base": _regime(setting, base, base)}
    probes: list[list[Inside]] = []
    for number, group in enumerate(groups):
        probes.append([])
        for sign in (1, -1) if group[0].smooth else (0,):
            nudges = {place: Nudge(NUDGE, sign) for place in group}
            injector = Injector(setting.numbers, taus, nudges, first)
            probes[-1].append(Inside(setting.paths, injector))
            regimes[f"{number}{sign:+}"] = _regime(setting, probes[-1][-1], base)
    run.run(data, regimes)
    plain = _each(run, base)
    moved: dict[NoisePlace, dict[str, Moved]] = {}
    for group, pair in zip(groups, probes, strict=True):
        nudged = [_each(run, one) for one in pair]
        for place in group:
            moved[place] = {path: _moved(nudged, plain, path) for path in reach[place]}
    quiet = {path: _quiet(path, var, moved, taus) for path, (var, _) in plain.items()}
    return {
        place: {path: _lever(one, plain[path][0], quiet[path]) for path, one in by_norm.items()}
        for place, by_norm in moved.items()
    }


def _moved(nudged: list[dict[str, Moved]], plain: dict[str, Moved], path: str) -> Moved:
    """By how much each unit of τ moves variance and mean, batch by batch."""
    var, mean = (
        torch.stack([each[path][part] - plain[path][part] for each in nudged]).mean(0) / NUDGE
        for part in (0, 1)
    )
    return var, mean


def _quiet(
    path: str,
    var: Tensor,
    moved: Mapping[NoisePlace, dict[str, Moved]],
    taus: Mapping[NoisePlace, float],
) -> Tensor:
    """The variance without the noise that was put in, (T, C)."""
    put = [moved[place][path][0] * tau for place, tau in taus.items() if path in moved[place]]
    return (var - sum(put, torch.zeros_like(var))).clamp(min=LEAST_LEFT * var)


def _lever(moved: Moved, received: Tensor, quiet: Tensor) -> Lever:
    """From what each batch shows, (T, C) each, to what all of them do."""
    added, left, var = moved[0].mean(0), quiet.mean(0), received.mean(0)
    lever = added / left
    # To first order, what one batch does to the quotient; and to the variance received.
    own = (moved[0] - added) / left - lever * (quiet - left) / left
    shared = (own * (received - var) / var).sum(0) / max(len(received) - 1, 1)
    return Lever(lever, moved[1].mean(0), shared)


def _regime(setting: PassSetting, inside: Inside, base: Inside) -> Regime:
    norms = None if inside is base else base.as_before
    return Regime(setting.flags, record=(inside,), insert=inside.injector.inserts(), norms=norms)


def _each(run: Session, inside: Inside) -> dict[str, Moved]:
    """Variance and mean that each norm received in each of all ranks' batches, (T, C) each."""
    seen = _together(run.ranks.gather(inside.seen))
    return {
        path: (torch.stack(each.variances), torch.stack(each.means)) for path, each in seen.items()
    }


def _before(run: Session, own: int) -> int:
    """How many batches the ranks before this one pass."""
    return sum(run.ranks.gather(own)[: run.ranks.rank])


def _together(ranks: list[dict[str, Received]]) -> dict[str, Received]:
    """What all ranks saw, in rank order."""
    whole: dict[str, Received] = {}
    for seen in ranks:
        for path, part in seen.items():
            held = whole.setdefault(path, Received())
            held.variances += part.variances
            held.means += part.means
            held.samples += part.samples
    return whole
