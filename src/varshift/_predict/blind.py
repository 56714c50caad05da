"""Prediction from a checkpoint alone: one traced example, stored statistics, weights, γ and β."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.borrow.model import Buffers
from varshift._engine.progress import Reporter
from varshift._engine.sites import norm_handles
from varshift._engine.trace import ops
from varshift._engine.trace.flow import Flow
from varshift._engine.trace.modules import module_stack
from varshift._engine.trace.ops import Operation
from varshift._predict.checkpoint import Checkpoint
from varshift._predict.ledger import Ledger
from varshift._predict.planting import planted
from varshift._predict.setting import Setting
from varshift.results.prediction import Prediction
from varshift.results.structure import Sharing, Structure

__all__ = ["blind_prediction"]


def blind_prediction(
    model: nn.Module,
    batch: Batch,
    forward: Forward | None,
    structure: Structure,
    lent: Setting,
    asked: Setting,
    report: Reporter,
) -> Prediction:
    """What the stored statistics and the weights say; the model must be borrowed and training.

    Under other noise, the stored statistics first give the signal under the noise they were made
    with.
    """
    through = frozenset(route.norm for route in structure.routes)
    carried = frozenset(r.norm for r in structure.routes if "through-norm" in r.placements)
    wild = any(noise.active and noise.law == "control-flow" for noise in structure.noises)
    books = Checkpoint(norm_handles(model), lent, through, wild=wild, carried=carried)
    passes = 2 if asked.as_it_is else 3
    report.tell(1, passes)
    _run(model, batch, forward, books, report)
    report.tell(2, passes)
    if not asked.as_it_is:
        known = {path: site.signal for path, site in books.sites.items()}
        everywhere = through | frozenset(books.handles if asked.plants else ())
        books = Checkpoint(books.handles, asked, everywhere, known, wild, carried)
        _run(model, batch, forward, books, report)
        report.tell(3, passes)
    return Prediction(
        sites=books.sites,
        structure=structure,
        asked=asked.taus,
        samples=0,
        skipped=books.skipped,
        notes=(
            *structure.notes,
            *asked.notes,
            "made without data: stored statistics are taken for those of training, and what the "
            "norms hand on for Gaussian",
        ),
    )


def _run(
    model: nn.Module, batch: Batch, forward: Forward | None, books: Checkpoint, report: Reporter
) -> None:
    report.begin("predicting module by module")
    buffers = Buffers(model)
    with module_stack(model, report.draw) as modules:
        ledger = _BlindLedger(
            *(model, modules, batch.value),
            setting=books.setting,
            algebra=books.beliefs,
            on_site=books.arrive,
        )
        ledger.books = books
        with planted(model, ledger, books.setting), ledger:
            call(model, batch, forward)
    buffers.restore()


class _BlindLedger(Ledger):
    """Keeps beliefs beside the books."""

    books: Checkpoint

    def _silent(
        self, operation: Operation, source: int, inputs: list[Tensor], flows: list[Flow]
    ) -> tuple[Tensor | None, str, Sharing]:
        found = super()._silent(operation, source, inputs, flows)
        data = next(
            x
            for x, f in zip(inputs, flows, strict=True)
            if f.noise is None and (f.data or f.weight)
        )
        self.books.beliefs.scale = math.nan if found[0] is None else _ratio(found[0], data)
        return found

    def _run(self, operation: Operation) -> None:
        beliefs = self.books.beliefs
        beliefs.scale = 1.0
        super()._run(operation)
        for tensor in operation.written():
            beliefs.forget(tensor)
        if operation.name in ops.BATCH_NORMS:
            site = self._site(operation)
            if site is not None:
                self.books.hand_on(site.path, operation)
        elif self._fresh is not None:
            self._fresh = None
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
