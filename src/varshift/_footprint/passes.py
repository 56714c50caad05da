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
from varshift._footprint.places import Place
from varshift.errors import ModelError

__all__ = ["NUDGE", "Inside", "Received", "Setting", "noisy_pass", "probing_pass"]

NUDGE = 0.25  # relative variance: large against rounding, small against what rates differ by


@dataclass(eq=False)
class Received:
    """What one norm received: unbiased variance and mean of each batch, (C,) each."""

    variances: list[Tensor] = field(default_factory=list)
    means: list[Tensor] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)


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
class Setting:
    """How the passes of one estimate are run: `paths` of the norms judged, a number per place."""

    run: Session
    flags: Flags
    paths: tuple[str, ...]
    numbers: Mapping[Place, int]


def noisy_pass(
    setting: Setting,
    taus: Mapping[Place, float],
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
    setting: Setting,
    taus: Mapping[Place, float],
    groups: list[list[Place]],
    reach: Mapping[Place, tuple[str, ...]],
    data: list[Batch],
) -> dict[Place, dict[str, Tensor]]:
    """By place and norm, how much variance each unit of τ adds where no norm lies between, (C,).

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
    plain = _variances(run, base)
    found: dict[Place, dict[str, Tensor]] = {}
    for group, pair in zip(groups, probes, strict=True):
        nudged = [_variances(run, each) for each in pair]
        for place in group:
            found[place] = {path: _added(nudged, plain, path) for path in reach[place]}
    return found


def _added(nudged: list[dict[str, Tensor]], plain: dict[str, Tensor], path: str) -> Tensor:
    return torch.stack([each[path] - plain[path] for each in nudged]).mean(0) / NUDGE


def _regime(setting: Setting, inside: Inside, base: Inside) -> Regime:
    norms = None if inside is base else base.as_before
    return Regime(setting.flags, record=(inside,), insert=inside.injector.inserts(), norms=norms)


def _variances(run: Session, inside: Inside) -> dict[str, Tensor]:
    """The mean over the batches of all ranks of what each norm received, (C,)."""
    seen = _together(run.ranks.gather(inside.seen))
    return {path: torch.stack(each.variances).mean(0) for path, each in seen.items()}


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
