"""By what repairs are judged: labels, a loss of the user's, or the noise-averaged prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from varshift._engine import Batch, Regime, Session
from varshift._repair.choosing import Labels, choose
from varshift._repair.labels import labels_at
from varshift._repair.losses import Losses
from varshift._repair.predictions import Reader
from varshift.errors import DataError
from varshift.judging import Judge, Kind

__all__ = ["Scorer", "scorer_of"]


@dataclass(frozen=True)
class Scorer:
    """Gives each held-out sample its loss."""

    reader: Reader
    labelled: bool
    labels: Labels

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
            return self.reader.against_labels(out, batch, None if own else self.labels_of(batch))
        assert target is not None
        return Losses(self.reader.divergence(self.reader.read(out), target).double())

    def labels_of(self, batch: Batch) -> Tensor | None:
        """What it is held against."""
        return labels_at(batch.value, self.labels.item)


class _Read(NamedTuple):
    """What a rank has read off its held-out data."""

    kind: Kind
    guessed: str | None
    labelled: bool
    labels: Labels


def scorer_of(run: Session, held_out: list[Batch], judge: Judge) -> Scorer:
    """See whether there are labels, and read off a first output what kind of predictions it has."""
    reads = run.ranks.gather(_read(run, held_out, judge) if held_out else None, "kinds of labels")
    known = [read for read in reads if read is not None]
    if len({read.labelled for read in known}) > 1:
        raise DataError(
            "some ranks' held-out batches carry labels and some do not; pass labels=False to judge "
            "without"
        )
    if len({read.kind for read in known}) > 1:
        raise DataError(
            "ranks read different kinds of predictions off their held-out data "
            f"({', '.join(sorted({read.kind for read in known}))}); pass kind="
        )
    kind, guessed, labelled, labels = known[0]
    return Scorer(Reader(kind, judge.output, judge.loss, guessed), labelled, labels)


def _read(run: Session, held_out: list[Batch], judge: Judge) -> _Read:
    asked = judge.labels and judge.loss is None
    labels = choose(run, held_out, judge) if asked else Labels(None)
    told = [labels_at(batch.value, labels.item) for batch in held_out] if asked else []
    known = [label for label in told if label is not None]
    if known and len(known) < len(told):
        raise DataError(
            "some held-out batches carry labels and some do not; pass labels=False to judge without"
        )
    with run.trying():
        out = run.once(held_out[0], Regime("evaluation"))
    reader = Reader.of(out, known, kind=judge.kind, output=judge.output, loss=judge.loss)
    return _Read(reader.kind, reader.guessed, judge.loss is not None or bool(known), labels)
