"""By what repairs are judged: labels, a loss of the user's, or the noise-averaged prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from varshift.errors import DataError
from varshift.lending import Batch, Forward, call, set_training, training_flags
from varshift.repair.predictions import Kind, Loss, Losses, Output, Reader, labels_of
from varshift.repair.teaching import off_flags

__all__ = ["Judge", "judge_of"]


@dataclass(frozen=True)
class Judge:
    """Gives each held-out sample its loss. `guessed`: what was taken for granted, in a sentence."""

    reader: Reader
    labelled: bool
    guessed: str | None = None

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
            return self.reader.against_labels(out, batch.value, labels_of(batch.value))
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
    told = [labels_of(batch.value) for batch in held_out]
    labelled = loss is not None or (labels and any(label is not None for label in told))
    if labelled and loss is None and any(label is None for label in told):
        raise DataError(
            "some held-out batches carry labels and some do not; pass labels=False to judge without"
        )
    lent = training_flags(model)
    set_training(off_flags(model))
    out = call(model, held_out[0], forward)
    set_training(lent)
    known = told[0] if labelled and loss is None else None
    reader = Reader.of(out, known, kind=kind, output=output, loss=loss)
    guessed = None
    if kind is None and known is None and reader.kind == "logits":
        guessed = (
            "without labels the outputs were taken for scores of classes; pass kind='values' if "
            "they are numbers to be predicted"
        )
    return Judge(reader, labelled, guessed)
