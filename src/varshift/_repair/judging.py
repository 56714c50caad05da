"""By what repairs are judged: labels, a loss of the user's, or the noise-averaged prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.borrow.model import borrowed, set_training
from varshift._repair.kinds import Kind
from varshift._repair.labels import labels_of
from varshift._repair.losses import Loss, Losses
from varshift._repair.predictions import Output, Reader
from varshift._repair.teaching import off_flags
from varshift.errors import DataError, UsageError

__all__ = ["Judge", "judge_of"]


@dataclass(frozen=True)
class Judge:
    """Gives each held-out sample its loss."""

    reader: Reader
    labelled: bool

    @property
    def by(self) -> str:
        """What the model is held against."""
        return "labels" if self.labelled else "noise-averaged prediction"

    @property
    def measure(self) -> str:
        """What the figure is called in a sentence."""
        return "loss" if self.labelled else "divergence from the noise-averaged prediction"

    def losses(self, out: Any, batch: Batch, target: Tensor | None) -> Losses:
        """Of each sample of a batch; `target` is its noise-averaged prediction."""
        if self.labelled:
            own = self.reader.loss is not None
            return self.reader.against_labels(out, batch, None if own else labels_of(batch.value))
        assert target is not None
        return Losses(self.reader.divergence(self.reader.read(out), target).double())


def judge_of(
    model: nn.Module,
    held_out: list[Batch],
    *,
    labels: bool,
    forward: Forward | None,
    kind: Kind | None,
    output: Output | None,
    loss: Loss | None,
) -> Judge:
    """See whether there are labels, and read off a first output what kind of predictions it has."""
    if loss is not None and not labels:
        raise UsageError(
            "loss= judges by what it is given, labels=False without: pass one of the two"
        )
    told = [labels_of(batch.value) for batch in held_out] if labels and loss is None else []
    known = [label for label in told if label is not None]
    if known and len(known) < len(told):
        raise DataError(
            "some held-out batches carry labels and some do not; pass labels=False to judge without"
        )
    with borrowed(model):
        set_training(off_flags(model))
        out = call(model, held_out[0], forward)
    reader = Reader.of(out, known, kind=kind, output=output, loss=loss)
    return Judge(reader, loss is not None or bool(known))
