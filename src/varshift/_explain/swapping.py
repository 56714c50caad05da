"""What it does that evaluation runs other norms than training, shown in two ways.

Training runs once more with the norms of evaluation, every noise silenced: if it is then what
evaluation is, the norms are all there is between the two. And evaluation runs once more with the
norms that it alone runs dividing by what arrives: if it is then what training is, their statistics
are. What is left in either has another cause.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from varshift._engine import Batch, Contrasts, Effect, Fixed, NormCall, Norms, Recorder, Regime
from varshift._explain.design import Design
from varshift._explain.pairing import Pairing
from varshift._explain.regimes import clean, noisy

__all__ = ["Swapping"]


@dataclass(frozen=True)
class _Place(Recorder):
    """Which batch runs, for the norms' answers."""

    at: list[int]

    def begin(self, batch: Batch) -> None:
        """A pass starts."""
        self.at[0] = batch.index


class Swapping:
    """The passes with norms exchanged or fitted, and what they show.

    Args:
        pairing: which norm stands for which.
        norms: how norms answer otherwise, by the statistics of training.
        given: those statistics by path.
        references: by place, about what moments are taken, (C,).
        design: who is noisy; here nobody is.
        shared: norms of both modes, which in evaluation get what other norms get in training.
        alias: by name of an output in training, its name in evaluation.
        leave_out: sources that are silenced by leaving them out.
    """

    def __init__(
        self,
        pairing: Pairing,
        norms: Norms,
        given: Mapping[str, Fixed],
        references: Mapping[str, Tensor],
        design: Design,
        shared: frozenset[str],
        alias: Mapping[str, str],
        leave_out: Collection[str] = (),
    ) -> None:
        self.pairing, self._norms, self._given, self._design = pairing, norms, given, design
        self.shared, self._leave_out = shared, leave_out
        self._place = _Place([0])
        self._partners: dict[int, dict[str, str | None]] = {}
        nobody = [design.none]
        self._exchanged = Contrasts(references, self._nobody, lambda place: nobody, alias)
        self._fitted = Contrasts(references, self._nobody, lambda place: nobody)
        for contrasts in (self._exchanged, self._fitted):
            contrasts.restart(whole=design.whole_batches)

    @property
    def regimes(self) -> dict[str, Regime]:
        """Evaluation without the norms that stand for none, and training with those of it; and,
        where evaluation has norms of its own, evaluation as it is and with these fitted.
        """

        def silent(source: str) -> Tensor | None:
            dealt = self._exchanged.dealt
            known = source in self._design.sources and len(dealt) > 0
            return self._design.active(source, dealt) if known else None

        found = {
            "without": clean(self._off, (self._place, self._exchanged.twins)),
            "exchanged": noisy(self._on, (self._place, self._exchanged), silent, self._leave_out),
        }
        if self.pairing.evaluation:
            found["own"] = clean(self._norms, (self._fitted.twins,))
            found["fitted"] = clean(self._by_batch, (self._fitted,))
        return found

    def ways(self, place: str, rest: Effect, groups: Tensor) -> list[tuple[Effect, Effect]]:
        """What the norms change at a place by either way, and what is left of `rest` then."""
        found = []
        left = self._effect(self._exchanged, place, groups)
        if left is not None:
            found.append((rest.less(left), left))
        changed = self._effect(self._fitted, place, groups)
        if changed is not None:
            found.append((changed, rest.less(changed)))
        return found

    def _effect(self, contrasts: Contrasts, place: str, groups: Tensor) -> Effect | None:
        contrast = contrasts.at.get(place)
        return None if contrast is None else contrast.effect(self._design.none, groups)

    def _nobody(self, batch: Batch) -> Tensor:
        return torch.full((batch.samples,), self._design.none, device="cpu")

    def _off(self, call: NormCall) -> NormCall | None:
        if self.pairing.evaluation and call.path in self.pairing.left_over(self._place.at[0]):
            return _left_out(call)
        return self._norms(call)

    def _by_batch(self, call: NormCall) -> NormCall | None:
        several = call.x.numel() > call.x.shape[1]  # of one value there is no variance
        if several and call.path in self.pairing.evaluation:
            return call.given(training=True)
        return self._norms(call)

    def _on(self, call: NormCall) -> NormCall | None:
        batch = self._place.at[0]
        if batch not in self._partners:
            self._partners = {batch: self.pairing.partners(batch)}
        other = self._partners[batch].get(call.path, call.path)
        if other is None:
            return _left_out(call)
        return self._norms(call) if other == call.path else self._as(call, other)

    def _as(self, call: NormCall, other: str) -> NormCall:
        """The same call as another norm would answer it."""
        held: Mapping[str, Any] = self.pairing.orders[1].met[other]
        given = self._given.get(other, Fixed(held["running_mean"], held["running_var"]))
        taken = {name: held.get(name) for name in ("weight", "bias")}
        return call.fixed(given).given(**taken, eps=held.get("eps", 1e-5))


def _left_out(call: NormCall) -> NormCall:
    """As if there were no norm: what comes in goes on."""
    kept, eps = call.arguments["running_mean"], call.arguments.get("eps") or 0.0
    given = Fixed(torch.zeros_like(kept), torch.ones_like(kept) - eps)
    return call.fixed(given).given(weight=None, bias=None)
