"""The ledger of a pass without data: beliefs about tensors, kept beside the books."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from varshift._engine import Operation, Silenced
from varshift._engine.trace.flow import Flow
from varshift._predict.checkpoint import Checkpoint
from varshift._predict.ledger import Ledger
from varshift.results.structure import Sharing

__all__ = ["BlindLedger"]


class BlindLedger(Ledger):
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
