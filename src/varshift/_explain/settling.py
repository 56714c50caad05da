"""What the first batch tells of the blame passes: whether the usual design fits, or which does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch

from varshift._engine import Batch, PerSample, SampleMoments, Session, Silenced
from varshift._explain.blaming import Blaming
from varshift._explain.design import Design
from varshift._explain.lanes import Lanes
from varshift._explain.sameness import Sameness

__all__ = ["FirstBatch"]

_BY_MEAN = (Silenced.BY_MEAN, Silenced.BY_DRAWN_MEAN)
_NEUTRAL = 1e-6  # what rounding leaves of a mean of one
_TRIED = 4  # sources that are left out one by one
_TOGETHER = (
    "the samples of a batch influence each other (or their rows cannot be told apart), so whole "
    "batches carry the subsets of sources, and errors are over batches"
)


class FirstBatch:
    """Called once on every rank after its first batch; all ranks find the same.

    As usual, every source can be silenced, and a sample is what its clean twin is wherever its own
    sources do not lead. Then samples keep to themselves, and nothing is left with every source
    silenced. Only where it goes otherwise are there passes more: two to find out how it goes, and
    the first batch once again.
    """

    def __init__(self, run: Session, blaming: Blaming, lanes: Lanes) -> None:
        self._run, self.blaming = run, blaming
        self._same = Sameness(lanes.train.at)
        self.silenced: dict[str, Silenced] = {}
        self._silent: Mapping[str, SampleMoments] = {}

    def __call__(self, batch: Batch | None, counts: bool) -> None:
        """`batch` is None on a rank without data; one that does not count is a stand-in."""
        blaming, ranks = self.blaming, self._run.ranks
        usual = batch is None or self._fits(batch, counts)
        found = ranks.gather((usual, self._run.silenced, blaming.spared))
        for _, silenced, _ in found:
            self._remember(silenced)
        blaming.trial = False
        blaming.spared = sum(spared for _, _, spared in found)
        if blaming.forced or not all(usual for usual, _, _ in found):
            blaming.late, blaming.noisy = not blaming.noisy, True
            self._find_out(batch, counts)
        blaming.contrasts.twins.keep = blaming.late or blaming.rounds > 1
        if not blaming.noisy:  # nothing will be compared with them any more
            blaming.contrasts.twins.references.clear()

    @property
    def means(self) -> dict[str, float]:
        """By what each source that is left out multiplies on average; NaN where that is unknown."""
        return self._means_of(sorted(self.blaming.left_out))

    def _means_of(self, sources: list[str]) -> dict[str, float]:
        """As the first rank knows that knows it: each has traced what its own batch met."""
        known = self._run.means
        ranks = self._run.ranks.gather({name: known.get(name, math.nan) for name in sources})
        return {
            name: next((found[name] for found in ranks if found[name] == found[name]), math.nan)
            for name in sources
        }

    def _remember(self, silenced: dict[str, Silenced]) -> None:
        for source, how in silenced.items():
            if self.silenced.get(source) is not Silenced.NOT:
                self.silenced[source] = how

    def _fits(self, batch: Batch, counts: bool) -> bool:
        if self.blaming.noisy:
            return not counts or self._usual(batch)
        # Nothing is drawn: by the same statistics training has to be what evaluation is.
        once = PerSample(self.blaming.contrasts.twins.references)
        self._run.once(batch, self.blaming.plain(once))
        twins = self.blaming.contrasts.twins.found.get(batch.index, {})
        return self._same.holds(twins, once.found[batch.index])

    def _usual(self, batch: Batch) -> bool:
        blaming, contrasts = self.blaming, self.blaming.contrasts
        ways = [self._run.silenced.get(s, Silenced.NOT) for s in blaming.design.sources]
        if Silenced.NOT in ways or batch.samples < 2 or contrasts.uneven:
            return False
        twins, found = (r.found[batch.index] for r in (contrasts.twins, contrasts.samples))
        for place in twins.keys() & found.keys():
            reached = torch.isin(
                contrasts.dealt, torch.tensor(blaming.subsets(place), device="cpu")
            )
            differs = self._same.differs(place, twins[place], found[place])
            if bool((differs & ~reached).any()):
                return False
        return all(len(moments.first) == batch.samples for moments in found.values())

    def _find_out(self, batch: Batch | None, counts: bool) -> None:
        """Which sources can be silenced, whether samples keep to themselves, what is left."""
        run, blaming = self._run, self.blaming
        ways = {source: self.silenced.get(source) for source in blaming.design.sources}
        kept = [source for source, how in ways.items() if how not in (None, Silenced.NOT)]
        blaming.start(Design(kept, nobody=False, whole_batches=False))
        apart, off = (True, 0) if batch is None else self._probe(batch)
        apart = not run.ranks.any(not apart)
        clean = self._leave_out(batch, ways, off)
        # What is drawn for a batch, and cannot be silenced, need not show in this one.
        hidden = blaming.forced or len(kept) < len(ways)
        rest = run.ranks.any(hidden or not apart or not clean)
        blaming.start(Design(kept, nobody=rest, whole_batches=not apart))
        if not apart:
            blaming.notes.append(_TOGETHER)
        steady: bool | None = None
        if batch is not None and not blaming.late:
            for regime in blaming.again.values():
                run.once(batch, regime if counts else replace(regime, record=()))
            steady = self._steady(batch) if counts else None
        elif batch is not None:
            steady = not run.drew["test"]  # nothing else is drawn
        known = [
            each for each in run.ranks.gather(steady if not clean else None) if each is not None
        ]
        blaming.steady = all(known) if known else None

    def _steady(self, batch: Batch) -> bool | None:
        """Whether what is left without any source is the same with other random numbers."""
        contrasts, design = self.blaming.contrasts, self.blaming.design
        nobody = contrasts.dealt == design.none
        found = contrasts.samples.found[batch.index]
        if design.whole_batches or not bool(nobody.any()) or self._silent.keys() != found.keys():
            return None
        return self._same.holds(self._silent, found, nobody)

    def _leave_out(
        self, batch: Batch | None, ways: Mapping[str, Silenced | None], off: int | None
    ) -> bool:
        """Leave out sources whose mean is not what evaluation has, as that of a mask which nobody
        rescales; whether training is then what evaluation is, wherever both have been.

        Where the mean is brought back later on (`x / keep_p * mask`) that would be wrong. So it is
        tried, all sources at once and then each of the first few the other way, and kept where
        fewer places differ.
        """
        blaming, ranks = self.blaming, self._run.ranks
        means = self._means_of([source for source, how in ways.items() if how in _BY_MEAN])
        asked = [source for source, mean in means.items() if not abs(mean - 1) < _NEUTRAL]
        found = ranks.gather(off)
        if None in found:
            return False
        least = sum(each or 0 for each in found)
        for more in [asked, *([each] for each in asked[:_TRIED] if len(asked) > 1)]:
            if not (least and more):
                break
            before = blaming.left_out, self._silent
            blaming.left_out = blaming.left_out.symmetric_difference(more)
            differing = sum(ranks.gather(0 if batch is None else self._off(batch)))
            if differing < least:
                least = differing
            else:
                blaming.left_out, self._silent = before
        self.silenced |= dict.fromkeys(blaming.left_out, Silenced.LEFT_OUT)
        return not least

    def _off(self, batch: Batch) -> int:
        """At how many places training without any source is not what evaluation is."""
        blaming, twins = self.blaming, self.blaming.contrasts.twins
        calm = PerSample(twins.references)
        nobody = torch.full((batch.samples,), blaming.design.none, device="cpu")
        self._run.once(batch, blaming.probe(nobody, calm))
        self._silent = calm.found[batch.index]
        return self._same.apart(twins.found.get(batch.index, self._silent), self._silent)

    def _probe(self, batch: Batch) -> tuple[bool, int | None]:
        """Whether half of a batch stays as it is when the other half gets noise, and at how many
        places without any source it is not what it is in evaluation; None if nothing tells.

        The halves are drawn, so that neighbours and pairs are parted.
        """
        design, twins = self.blaming.design, self.blaming.contrasts.twins
        order = torch.randperm(
            batch.samples, generator=torch.Generator().manual_seed(0), device="cpu"
        )
        quiet = order < batch.samples // 2
        nobody = torch.full((batch.samples,), design.none, device="cpu")
        mixed = torch.where(quiet, design.none, design.all)
        calm, noisy = PerSample(twins.references), PerSample(twins.references)
        self._run.alike(batch, [self.blaming.probe(nobody, calm), self.blaming.probe(mixed, noisy)])
        self._remember(self._run.silenced)
        without, some = calm.found[batch.index], noisy.found[batch.index]
        self._silent = without
        shared = all(len(moments.first) == batch.samples for moments in some.values())
        if batch.samples < 2 or not shared or without.keys() != some.keys():
            return False, None
        clean = twins.found.get(batch.index, without)
        return (
            self._same.holds(without, some, quiet),
            self._same.apart(clean, without),
        )
