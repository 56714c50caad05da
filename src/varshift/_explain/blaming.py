"""The two blame passes over each batch: its clean twin, and each sample with its own sources."""

from __future__ import annotations

import math

from torch import Tensor

from varshift._engine import Batch, Contrasts, Effect, Held, Recorder, Regime, Session
from varshift._explain.design import Design
from varshift._explain.lanes import Lanes
from varshift._explain.reach import Reach
from varshift._explain.regimes import clean, noisy, pooled

__all__ = ["Blaming"]

_WIDE = 8192  # features of an output beyond which it is left out
_SPARED = 8  # one in so many samples of the first batch carries no source …
_FEW_SPARED = 4  # … and of a small one so many, or half of it


class Blaming:
    """Regimes with the statistics of training, and what they say of each source.

    Args:
        run: the session, with its structure.
        lanes: what training and evaluation over all the data have shown, and the clean lane.
        held: the batches.

    Attributes:
        design: who is noisy; its `sources` are those that can be silenced.
        trial: whether the first batch has yet to show that the design fits.
        noisy: there is noise, whether or not it can be silenced.
        contrasts: how samples with some of the noise differ from their clean twins.
        wide: outputs of too many features, which are left out.
        spared: samples that carried no source, only to show what is left then.
        notes: what a reader must know.
    """

    def __init__(self, run: Session, lanes: Lanes, held: Held) -> None:
        self._held, train, structure = held, lanes.train, run.structure
        self._norms = pooled(train, structure)
        self._reach = Reach(structure, train)
        self._clean = lanes.clean
        means = {place: tally.total().mean for place, tally in train.at.items()}
        outputs = means.keys() - train.stored.keys()
        self.wide = {place for place in outputs if len(means[place]) > _WIDE}
        self.notes = [f"{p}: {len(means.pop(p))} features, left out" for p in sorted(self.wide)]
        self.contrasts = Contrasts(means, self._deal, self.subsets)
        noises = [noise for noise in structure.noises if noise.active]
        self.noisy = bool(noises)
        sources = [noise.name for noise in noises if noise.module != ""]
        self.start(Design(sources, nobody=not sources, whole_batches=False), trial=True)

    def start(self, design: Design, *, trial: bool = False) -> None:
        """Go by this design from nothing; `trial`: its first batch has yet to show that it fits."""
        self.design, self.trial, self.spared = design, trial, 0
        self.contrasts.restart(whole=design.whole_batches)

    # How to run ----------------------------------------------------------------------------

    @property
    def regimes(self) -> dict[str, Regime]:
        """Those of the first round over the data."""
        record = (self._clean, self.contrasts.twins) if self.noisy else (self._clean,)
        regime = clean(self._norms, record)
        return {"clean": regime} | (self.again if self.noisy else {})

    @property
    def again(self) -> dict[str, Regime]:
        """Those of later rounds, in which the clean twins are known."""

        def carries(source: str) -> Tensor | None:
            return self._carries(source, self.contrasts.dealt)

        return {"blame": noisy(self._norms, (self.contrasts,), carries)}

    def probe(self, dealt: Tensor, recorder: Recorder) -> Regime:
        """Each sample carries the subset that is dealt here."""
        return noisy(self._norms, (recorder,), lambda source: self._carries(source, dealt))

    @property
    def rounds(self) -> int:
        """Rounds over the data that the subsets take: one, but for a few samples or batches."""
        if not self.noisy:
            return 1
        held, whole = self._held, self.design.whole_batches
        units = held.batches if whole else held.samples - self.spared
        return max(1, math.ceil(self.design.least / max(1, units)))

    def _carries(self, source: str, dealt: Tensor) -> Tensor | None:
        known = source in self.design.sources and len(dealt) > 0
        return self.design.active(source, dealt) if known else None

    def _deal(self, batch: Batch) -> Tensor:
        if not self.trial or self.design.nobody or batch.samples < 2:
            return self.design.deal(batch.samples)
        few = min(batch.samples // 2, _FEW_SPARED)
        self.spared = max(few, batch.samples // _SPARED)
        return self.design.deal(batch.samples, self.spared)

    # What is found -------------------------------------------------------------------------

    def sources(self, place: str) -> list[str]:
        """The sources that can be silenced and reach a place."""
        return self._reach.sources(place, self.design)

    def subsets(self, place: str) -> list[int]:
        """The subsets of them that may change it."""
        return self._reach.subsets(place, self.design)

    def effect(self, place: str, subset: int, groups: Tensor) -> Effect | None:
        """What a subset changes at a place, over all and without each of the groups.

        None where nothing does.
        """
        contrast = self.contrasts.at.get(place)
        return None if contrast is None else contrast.effect(subset, groups)
