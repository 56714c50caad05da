"""Distil: norms' scales and offsets fitted so that one clean pass says what many noisy ones do.

No labels and no gradient of the model's own weights: 2C numbers per norm, on a few thousand
samples. In evaluation mode a norm is an affine map of each channel, so scale and offset say all
that any choice of its statistics could.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from varshift._engine import (
    Batch,
    Edit,
    NormCall,
    Norms,
    Recorder,
    Regime,
    Session,
    piece,
    stored,
    walk,
)
from varshift._engine.edits import names_of
from varshift._repair.adam import Adam, one_cycle
from varshift._repair.predictions import Reader
from varshift._torch.backward import gradients
from varshift.errors import ModelError

__all__ = ["Affine", "Into", "cost", "distilled", "scaled"]

Into = Literal["affine", "statistics"]

EPOCHS, LEAST_STEPS = 5, 200
BATCH = 64  # larger batches are cut: twice the steps did as much as twice the epochs
_PASSES = 3  # a step forward and back costs as much as three passes
RATE = 0.05  # of Adam, at the height of one cycle; of a log scale and of an offset in deviations


class Affine(NamedTuple):
    """What multiplies a norm's scale and what is added to its offset, (C,) each."""

    scale: Tensor
    offset: Tensor


def scaled(affine: Callable[[str], Affine | None]) -> Norms:
    """Norms use their stored statistics, whatever mode they are in, and `affine(path)` on top."""

    def given(call: NormCall) -> NormCall:
        change = affine(call.path)
        return call.stored() if change is None else call.stored().scaled(*change)

    return given


def distilled(
    run: Session,
    held: Sequence[Batch],
    targets: Sequence[Tensor],
    wanted: Callable[[str], bool],
    reader: Reader,
    *,
    into: Into = "affine",
    seed: int = 0,
    step: Callable[[int], None] = lambda passes: None,
) -> Edit:
    """Fit the norms that are `wanted` to `targets`, the noise-averaged predictions of `held`.

    Nothing of the model is written. Adam on the mean divergence, one cycle of
    the rate, all noise off. `into="affine"` puts the result into weight and bias where the norm has
    them; "statistics" into running_mean and running_var, so that no parameter changes.

    Raises ModelError where the model cannot be differentiated or the fit diverges.
    """
    lessons = [lesson for pair in zip(held, targets, strict=True) for lesson in _lessons(*pair)]
    sites = _sites(run, lessons[0].batch, wanted)
    if not sites:
        raise ModelError("no norm that may change was reached, so there is nothing to fit")
    fits = {path: _Fit.of(site) for path, site in sites.items()}
    _train(run, lessons, fits, reader, seed, step)
    affine = {path: fit.affine() for path, fit in fits.items()}
    return _folded(sites, affine, into)


def cost(held: Sequence[Batch]) -> int:
    """About how many batches have to pass for a fit."""
    lessons = sum(math.ceil(batch.samples / BATCH) for batch in held)
    return _PASSES * lessons * _epochs(lessons)


def _epochs(lessons: int) -> int:
    return max(EPOCHS, math.ceil(LEAST_STEPS / max(lessons, 1)))


@dataclass(frozen=True, eq=False)
class _Lesson:
    batch: Batch
    target: Tensor


def _lessons(batch: Batch, target: Tensor) -> Iterator[_Lesson]:
    """The batch and what it should say, in pieces where it can be cut."""
    for start in range(0, batch.samples, BATCH):
        part = piece(batch, start, start + BATCH)
        if part is None or len(target) != batch.samples:
            yield _Lesson(batch, target)
            return
        yield _Lesson(part, target[start : start + BATCH])


@dataclass(eq=False)
class _Fit:
    """The free numbers of one norm: scale = exp(log_scale), offset in units of `unit`."""

    log_scale: Tensor
    shift: Tensor
    unit: Tensor

    @classmethod
    def of(cls, site: _Site) -> _Fit:
        mean = site.call.arguments["running_mean"]
        zeros = torch.zeros_like(mean, dtype=torch.float32)
        weight = site.call.arguments.get("weight")
        unit = zeros + 1 if weight is None else weight.detach().abs().float()
        # A channel that is switched off may still need its offset; the usual scale will do.
        unit = unit.clamp(min=float(unit.mean()) + 1e-12)
        return cls(zeros.clone().requires_grad_(), zeros.clone().requires_grad_(), unit)

    def affine(self) -> Affine:
        """As what it does to the norm's own scale and offset."""
        return Affine(self.log_scale.exp(), self.shift * self.unit)


def _train(
    run: Session,
    lessons: list[_Lesson],
    fits: Mapping[str, _Fit],
    reader: Reader,
    seed: int,
    step: Callable[[int], None],
) -> None:
    free = [number for fit in fits.values() for number in (fit.log_scale, fit.shift)]
    optimiser = Adam(free)
    epochs = _epochs(len(lessons))
    steps, done = epochs * len(lessons), 0
    order = torch.Generator().manual_seed(seed)
    steered = scaled(lambda path: fits[path].affine() if path in fits else None)
    regime = Regime("evaluation", norms=steered, gradients=True)
    for _ in range(epochs):
        for index in torch.randperm(len(lessons), generator=order, device="cpu").tolist():
            lesson = lessons[index]
            learn = partial(_learned, free=free, reader=reader, target=lesson.target)
            gradients = run.once(lesson.batch, regime, then=learn)
            optimiser.step(gradients, *one_cycle(done, steps, RATE))
            done += 1
            step(_PASSES)


def _learned(
    out: Any, *, free: list[Tensor], reader: Reader, target: Tensor
) -> tuple[Tensor | None, ...]:
    """The gradients by that output of the model."""
    with torch.enable_grad():
        return _gradients(reader.divergence(reader.read(out), target).mean(), free)


def _gradients(loss: Tensor, free: list[Tensor]) -> tuple[Tensor | None, ...]:
    if not loss.requires_grad:
        raise ModelError(
            "the model's output does not depend differentiably on its norms (no_grad or "
            "inference_mode inside its forward?), so nothing can be fitted"
        )
    if not bool(torch.isfinite(loss)):
        raise ModelError("the fit of the norms diverged: its loss is not finite")
    try:
        return gradients(loss, free)
    except RuntimeError as error:
        raise ModelError(f"the model cannot be run backward in eval mode: {error}") from error


# Where the result goes -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Site:
    """A norm as the pass met it, and the names of its tensors in the state_dict.

    None stands for a tensor without a name, or a weight that serves others too.
    """

    call: NormCall
    names: dict[str, str | None]


class _FirstCalls(Recorder):
    """The first call of each norm."""

    def __init__(self) -> None:
        self.at: dict[str, NormCall] = {}

    def norm(self, call: NormCall) -> None:
        """Keep it with all its arguments."""
        self.at.setdefault(call.path, call)


def _sites(run: Session, batch: Batch, wanted: Callable[[str], bool]) -> dict[str, _Site]:
    calls = _FirstCalls()
    run.once(batch, Regime("evaluation", record=(calls,), norms=stored))
    names = _names_of_own(run.model, calls.at)
    return {
        path: _Site(
            met,
            {
                key: names.get(id(met.arguments.get(key)))
                for key in ("running_mean", "running_var", "weight", "bias")
            },
        )
        for path, met in calls.at.items()
        if wanted(path)
    }


def _names_of_own(model: nn.Module, met: dict[str, NormCall]) -> dict[int, str]:
    """Names by id; of no weight that several norms share: which cannot take all fits."""
    held = Counter(id(p) for _, module in walk(model) for p in module._parameters.values())
    used = Counter(id(one.arguments.get(key)) for one in met.values() for key in ("weight", "bias"))
    names = names_of(model)
    return {key: name for key, name in names.items() if max(held[key], used[key]) <= 1}


def _folded(sites: dict[str, _Site], affine: dict[str, Affine], into: Into) -> Edit:
    values: dict[str, Tensor] = {}
    for path, site in sites.items():
        found = _into_affine(site, affine[path]) if into == "affine" else None
        values |= _into_statistics(site, affine[path]) if found is None else found
    return Edit(values)


def _into_affine(site: _Site, change: Affine) -> dict[str, Tensor] | None:
    """A new weight, weight·scale, and a new bias, bias + offset."""
    weight, bias = site.names["weight"], site.names["bias"]
    if weight is None or bias is None:
        return None
    held = site.call.arguments
    with torch.no_grad():
        return {weight: held["weight"] * change.scale, bias: held["bias"] + change.offset}


def _into_statistics(site: _Site, change: Affine) -> dict[str, Tensor]:
    """The statistics that do the same: v' + ε = (v + ε)/scale², μ' = μ − offset·√(v' + ε)/weight.

    A channel of weight 0 has no statistics that would move it: it stays.
    """
    mean, var = site.names["running_mean"], site.names["running_var"]
    if mean is None or var is None:
        return {}
    held, eps = site.call.arguments, float(site.call.arguments.get("eps", 1e-5))
    with torch.no_grad():
        wide = (held["running_var"].double() + eps) / change.scale.double().square()
        new_var = (wide - eps).clamp(min=0)
        weight = held.get("weight")
        weight = torch.ones_like(wide) if weight is None else weight.detach().double()
        moved = change.offset.double() * (new_var + eps).sqrt() / weight
        new_mean = held["running_mean"].double() - torch.where(weight == 0, 0.0, moved)
    return {mean: new_mean, var: new_var}
