"""The light entrance: one noise-off forward in the middle of somebody's training, and no more.

A `session` is made for a study: it looks through the model, prepares what every later pass takes,
talks to other ranks and reports progress. A training loop that wants one forward now and then pays
for all of that each time. A `Glance` looks through the model once; each look then takes the loan
(`borrowed`: everything comes back bit for bit, also when the forward raises or is interrupted),
clears the training flags, runs the forward under a tap, and keeps one mean and variance per norm.
Large parameters are copied at the first look; from then on a guard copies those that an operation
is about to write to.

    glance = Glance(model, handles, forward)  # the norms to look at, as a pass has met them
    ...
    seen = glance.off(batch)  # in any step, as often as one likes

It takes part in no exchange between ranks. What needs more than that (norms that are no batch
normalisation by class, a model whose own `eval()` does more than set flags, weights that are
gathered from other ranks) is for `both`, which takes a session for the two passes that it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward, call, one_batch
from varshift._engine.borrow.guard import WriteGuard
from varshift._engine.borrow.model import (
    borrowed,
    evaluation_flags,
    set_training,
    unwrapped,
)
from varshift._engine.borrow.walk import walk
from varshift._engine.normcall import NormCall
from varshift._engine.record.moments import channel_moments
from varshift._engine.record.recording import Recording
from varshift._engine.regime import Regime
from varshift._engine.session import session
from varshift._engine.sites import Handle
from varshift._engine.tap import Owners, Tap
from varshift._torch.state import outside_dispatch_modes
from varshift.theory.moments import Moments

__all__ = ["Glance", "Sight", "both"]


@dataclass(frozen=True, eq=False)
class Sight:
    """What a norm received in one pass: (C,) float64 mean and unbiased variance of its input.

    `precision` is the machine epsilon of what arrived.
    """

    mean: Tensor
    var: Tensor
    precision: float


class Glance:
    """Noise-off forwards of a model in training, prepared once.

    Args:
        model: as the user has it, wrappers and all; the module inside is run, eagerly.
        norms: the norms to look at. Their statistics are looked up anew at each look, under the
            names that `running_mean` has in them.
        forward: how the model takes a batch, as in `session`.

    `light` says whether looks at this model are as cheap as they can be; where it is False, the
    model's own `eval()` or `train()` does more than set flags, and `both` is to be used.
    """

    def __init__(
        self, model: nn.Module, norms: Iterable[Handle], forward: Forward | None = None
    ) -> None:
        self._model, self._forward = model, forward
        self._norms = [(handle.path, handle.module) for handle in norms]
        with borrowed(model) as inner:
            self._off, more = evaluation_flags(inner)
            self._modules = _ids(inner)
        self.light = not more
        self.notes: list[str] = []
        self.calls: dict[str, int] = {}  # by path, how often a norm ran in the last look
        self._guard = WriteGuard()
        self._met: dict[str, list[tuple[Moments, float]]] = {}

    @property
    def stale(self) -> bool:
        """Whether modules were added, taken away or replaced: then it must be made anew."""
        return _ids(unwrapped(self._model)) != self._modules

    def off(self, value: Any, index: int = 0) -> dict[str, Sight]:
        """One forward as in evaluation: by path, what each norm received. The model is as before.

        Autocast is what it is where this is called, without its cache of cast weights. A norm that
        normalises by its batch in evaluation too is left out: nothing that it stores is read.
        """
        self._met = {}
        owners = {id(module.running_mean): (path, module) for path, module in self._norms}
        try:
            self._look(value, index, owners)
        finally:
            self._guard.clear()
        self.calls = {path: len(parts) for path, parts in self._met.items()}
        momenta = {path: getattr(module, "momentum", None) for path, module in self._norms}
        return {path: _sight(parts, momenta[path]) for path, parts in self._met.items()}

    def _look(self, value: Any, index: int, owners: Owners) -> None:
        with borrowed(self._model, self.notes, self._guard) as inner:
            batch = one_batch(value, inner, forward=self._forward)
            set_training(self._off)
            # A weight that is cast without gradients must not be found by the training step.
            torch.set_autocast_cache_enabled(False)
            with (
                self._guard if self._guard.holds else nullcontext(),
                Tap(inner, self._meet, owners),
            ):
                call(inner, Batch(index, batch.value, batch.samples), self._forward)

    def _meet(self, norm: NormCall) -> None:
        if norm.training:
            return
        with outside_dispatch_modes():
            found = (channel_moments(norm.x), torch.finfo(norm.x.dtype).eps)
        self._met.setdefault(norm.path, []).append(found)


def _ids(model: nn.Module) -> list[int]:
    return [id(module) for _, module in walk(model)]


def both(
    model: nn.Module, value: Any, forward: Forward | None, notes: list[str]
) -> tuple[Mapping[str, Sight], Mapping[str, Sight]]:
    """Two passes of one batch, as in training and as in evaluation: what each norm received.

    `notes` takes in what could not be given back.

    Heavier than a `Glance`, and right for every norm that can be measured. Ranks are not joined;
    a model whose weights lie on several ranks still takes them all in its forward.
    """
    on, off = Recording("train"), Recording("test")
    with session(model, forward=forward, sync=False) as run:
        batch = run.example(value)
        run.once(batch, Regime("training", record=(on,)))
        run.once(batch, Regime("evaluation", record=(off,)))
    notes += [note for note in run.notes if note not in notes]
    return _sights(on), _sights(off, off.by_batch)


def _sights(recording: Recording, left_out: Iterable[str] = ()) -> dict[str, Sight]:
    return {
        path: Sight(tally.total().mean, tally.within(), tally.precision)
        for path, tally in recording.at.items()
        if path not in left_out
    }


def _sight(parts: list[tuple[Moments, float]], momentum: float | None) -> Sight:
    """Of all calls of a norm in one forward, averaged as its running statistics average them."""
    moments = [each for each, _ in parts]
    kept = 1.0 if momentum is None else 1 - momentum  # of each call by the next one
    powers = [kept ** (len(parts) - 1 - at) for at in range(len(parts))]
    weights = torch.tensor(powers, dtype=torch.float64, device=moments[0].mean.device)[:, None]
    weights = weights / weights.sum()
    mean = (weights * torch.stack([each.mean for each in moments])).sum(0).cpu()
    var = (weights * torch.stack([each.var() for each in moments])).sum(0).cpu()
    return Sight(mean, var, max(precision for _, precision in parts))
