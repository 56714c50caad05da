"""Evaluation-mode normalisation under direction: another scale and offset, noise on or off.

Works on the function `batch_norm`, so that subclasses and `F.batch_norm` called by hand are steered
too, and no parameter or buffer of the model is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from varshift._engine.normcall import NormCall
from varshift._engine.tap import Tap

__all__ = ["Affine", "Steered"]


class Affine(NamedTuple):
    """What multiplies a norm's scale and what is added to its offset, (C,) each."""

    scale: Tensor
    offset: Tensor


class Steered(Tap):
    """Every norm uses its stored statistics, whatever mode it is in, and its `affine` on top."""

    def __init__(self, model: nn.Module, affine: Mapping[str, Affine] | None = None) -> None:
        super().__init__(model, self.meet)
        self._affine = affine or {}

    def meet(self, call: NormCall) -> NormCall:
        """The call that is run in place of the model's own; a subclass may look at it."""
        change = self._affine.get(call.path)
        return call.stored() if change is None else call.stored().scaled(*change)
