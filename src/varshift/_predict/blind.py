"""Prediction from a checkpoint alone: one example, stored statistics, weights, γ and β."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from varshift._engine.borrow.walk import walk
from varshift._engine.control import Silenced
from varshift._engine.regime import Regime
from varshift._engine.session import Session
from varshift._engine.sites import Handle, norm_handles
from varshift._engine.trace.flow import Flow
from varshift._engine.trace.ops import Operation
from varshift._predict.checkpoint import HOMELESS, Checkpoint
from varshift._predict.ledger import Ledger
from varshift._predict.passes import Ledgers
from varshift._predict.setting import Setting, refuse_nothing
from varshift.results.prediction import Prediction
from varshift.results.structure import Sharing, Structure

__all__ = ["blind_prediction"]


def blind_prediction(
    run: Session,
    example: Any,
    noise: Mapping[str, Any] | None,
    moved: Mapping[str, str] | None,
) -> Prediction:
    """What the stored statistics and the weights say.

    One pass. One more under other noise: the stored statistics first give the signal under the
    noise they were made with. And one more where the model draws what decides its way, which only
    a finished pass has shown.
    """
    batch = run.example(example)
    handles = norm_handles(run.model)

    def passed(books: Checkpoint, setting: Setting) -> Checkpoint:
        names = None if run.trace is None else run.trace.names
        ledgers = Ledgers(partial(_BlindLedger, books=books), setting, names)
        books.ledger = lambda: ledgers.now
        regime = Regime(
            "training",
            record=(books,),
            control=ledgers,
            insert=ledgers.plants(),
            structure=True,
        )
        run.once(batch, regime, run.report.draw)
        return books

    found = passed(Checkpoint(handles), Setting())
    structure = run.structure
    refuse_nothing(structure)
    setting = Setting.of(structure, noise, moved, {path for path, _ in walk(run.model)})
    again = partial(_checkpoint_in, structure, handles)
    wild = any(source.active and source.law == "control-flow" for source in structure.noises)
    done, passes = 1, 1 + wild + (not setting.as_it_is)
    run.report.tell(done, passes)
    if wild:
        run.report.begin("predicting module by module")
        found = passed(again(wild=True), Setting())
        done += 1
        run.report.tell(done, passes)
    if not setting.as_it_is:
        run.report.begin("predicting module by module")
        known = {path: site.signal for path, site in found.sites.items()}
        found = passed(again(known=known, wild=wild, anywhere=bool(setting.plants)), setting)
        run.report.tell(passes, passes)
    return _made(structure, setting, found)


def _checkpoint_in(
    structure: Structure,
    handles: dict[str, Handle],
    *,
    known: Mapping[str, Tensor] | None = None,
    wild: bool = False,
    anywhere: bool = False,
) -> Checkpoint:
    """A checkpoint whose routes are known; `anywhere`: noise may stand where the model has none."""
    through = {route.norm for route in structure.routes}
    carried = {route.norm for route in structure.routes if "through-norm" in route.placements}
    return Checkpoint(
        handles,
        known=known,
        wild=wild,
        through=through | set(handles if anywhere else ()),
        carried=carried,
    )


def _made(structure: Structure, setting: Setting, found: Checkpoint) -> Prediction:
    homeless = [
        norm.path
        for norm in structure.norms
        if norm.calls and norm.path not in found.sites and norm.path not in found.skipped
    ]
    return Prediction(
        sites=found.sites,
        structure=structure,
        asked=setting.taus,
        samples=0,
        skipped={**found.skipped, **dict.fromkeys(homeless, HOMELESS)},
        notes=(
            *structure.notes,
            *setting.notes,
            "made without data: stored statistics are taken for those of training, and what the "
            "norms hand on for Gaussian",
        ),
    )


class _BlindLedger(Ledger):
    """Keeps beliefs beside the books."""

    def __init__(self, *arguments: Any, books: Checkpoint, **keywords: Any) -> None:
        super().__init__(*arguments, algebra=books.beliefs, **keywords)
        self._books = books

    def _silent(
        self, operation: Operation, source: int, inputs: list[Tensor], flows: list[Flow]
    ) -> tuple[Tensor | None, Silenced, Sharing]:
        found = super()._silent(operation, source, inputs, flows)
        data = next(
            x
            for x, f in zip(inputs, flows, strict=True)
            if f.noise is None and (f.data or f.weight)
        )
        self._books.beliefs.scale = math.nan if found[0] is None else _ratio(found[0], data)
        return found

    def _run(self, operation: Operation) -> None:
        self._books.beliefs.scale = 1.0
        super()._run(operation)

    def _batch_norm(self, operation: Operation) -> None:
        super()._batch_norm(operation)
        site = self._site(operation)
        if site is not None:
            self._books.hand_on(site.path, operation)

    def _book(self, operation: Operation) -> None:
        beliefs, met = self._books.beliefs, self._fresh is not None
        super()._book(operation)
        for tensor in operation.written():
            beliefs.forget(tensor)
        if met:
            beliefs.met(operation)
        elif not operation.draws():
            beliefs.observe(operation)


def _ratio(silent: Tensor, data: Tensor) -> float:
    """The number that `silent` is `data` times; 1 where it is `data`, NaN where there is none."""
    one, other = silent.detach().double(), data.detach().double()
    whole = float(other.square().sum())
    if not data.is_floating_point() or one.shape != other.shape or whole == 0:
        return math.nan
    ratio = float((one * other).sum()) / whole
    same = torch.allclose(one, ratio * other, rtol=1e-2, atol=1e-3 * whole**0.5)
    return (1.0 if abs(ratio - 1) < 1e-3 else ratio) if same else math.nan
