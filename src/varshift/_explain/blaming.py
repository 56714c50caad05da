"""The two blame passes over each batch: its clean twin, and each sample with its own sources."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from varshift._counting import counted
from varshift._engine import (
    Batch,
    Contrasts,
    Effect,
    Held,
    Recorder,
    Regime,
    Session,
    fixed,
    weakly,
)
from varshift._explain.design import Design
from varshift._explain.lanes import Lanes
from varshift._explain.reach import Reach
from varshift._explain.regimes import clean, noisy, pooled
from varshift._explain.swapping import Swapping

__all__ = ["Blaming"]

_WIDE = 8192  # features of an output beyond which it is left out
_SPARED = 8  # one in so many samples of the first batch carries no source …
_FEW_SPARED = 4  # … and of a small one so many, or half of it
_LEFT = 0.5  # of a squared difference: with the norms of evaluation at most so much may be left
_NO_GROUPS = torch.zeros(0, dtype=torch.long, device="cpu")


class Blaming:
    """Regimes with the statistics of training, and what they say of each source.

    Args:
        run: the session, with its structure.
        lanes: what training and evaluation over all the data have shown, and the clean lane.
        held: the batches.

    Attributes:
        design: who is noisy; its `sources` are those that can be silenced.
        trial: whether the first batch has yet to show that the design fits.
        noisy: there is noise, whether or not it can be silenced, or something else that tells
            training from evaluation.
        late: the first batch had to show that, so the first round had no blame pass.
        forced: what may be left with every source silenced need not show in the first batch: draws
            outside torch, or norms that only one mode runs.
        left_out: sources that are silenced by leaving them out, for their mean is no neutral value.
        lasting: sources that evaluation draws from just as well: they are part of the signal.
        steady: whether what is left there is the same in every pass; None where nobody could tell.
        contrasts: how samples with some of the noise differ from their clean twins.
        swapping: training once more with the norms of evaluation, where these are others.
        wide: outputs of too many features, which are left out.
        spared: samples that carried no source, only to show what is left then.
        notes: what a reader must know.
    """

    def __init__(self, run: Session, lanes: Lanes, held: Held) -> None:
        self._ranks = run.ranks
        self._held, train, structure = held, lanes.train, run.structure
        self._given = pooled(train, structure, lanes.test.by_batch)
        self._norms = fixed(self._given)
        self._reach = Reach(structure, train)
        self._clean = lanes.clean
        means = {place: tally.total().mean for place, tally in train.at.items()}
        outputs = means.keys() - train.stored.keys()
        self.wide = {place for place in outputs if len(means[place]) > _WIDE}
        self.notes = [
            f"{p}: left out of blame, for it has {counted(len(means.pop(p)), 'feature')}"
            for p in sorted(self.wide)
        ]
        self._alias = lanes.alias
        means |= {place: means[name] for name, place in self._alias.items() if name in means}
        self.contrasts = Contrasts(means, weakly(self._deal), weakly(self.subsets), self._alias)
        self._references, self._pairing = means, lanes.pairing
        self.swapping: Swapping | None = None
        first = held.own[0] if held.own else None
        self.lasting = run.drawn_in_both(first) if run.drew["test"] else frozenset[str]()
        drawing = [noise for noise in structure.noises if noise.active]
        noises = [noise for noise in drawing if noise.name not in self.lasting]
        self.noisy, self.late = bool(noises), False
        self.steady: bool | None = None
        self.left_out: frozenset[str] = frozenset()
        # What is drawn outside torch can be silenced only where it is followed to the data.
        routed = {route.noise for route in structure.routes}
        sources = [n.name for n in noises if n.module != "" or n.name in routed]
        self.unlike = run.ranks.any(lanes.pairing.unlike)
        self.forced = self.unlike or len(sources) < len(noises)
        self.start(Design(sources, nobody=not sources, whole_batches=False), trial=True)

    def start(self, design: Design, *, trial: bool = False) -> None:
        """Go by this design from nothing; `trial`: its first batch has yet to show that it fits."""
        self.design, self.trial, self.spared = design, trial, 0
        self.contrasts.restart(whole=design.whole_batches)

    # How to run ----------------------------------------------------------------------------

    @property
    def regimes(self) -> dict[str, Regime]:
        """Those of the first round over the data."""
        regime = clean(self._norms, (self._clean, self.contrasts.twins))
        return {"clean": regime} | (self.again if self.noisy else {})

    @property
    def again(self) -> dict[str, Regime]:
        """Those of later rounds, in which the clean twins are known."""

        def carries(source: str) -> Tensor | None:
            return self._carries(source, self.contrasts.dealt)

        return {"blame": noisy(self._norms, (self.contrasts,), carries, self.left_out)}

    def probe(self, dealt: Tensor, recorder: Recorder) -> Regime:
        """Each sample carries the subset that is dealt here."""

        def carries(source: str) -> Tensor | None:
            return self._carries(source, dealt)

        return noisy(self._norms, (recorder,), carries, self.left_out)

    def plain(self, recorder: Recorder) -> Regime:
        """Training as it is, every norm by the statistics of training."""
        return Regime("training", norms=self._norms, record=(recorder,))

    def exchange(self) -> dict[str, Regime]:
        """The passes with the norms of evaluation, where these are others and it shows anywhere."""
        rest = (self._raw(place, self.design.none) for place in self.contrasts.at)
        if self.unlike and any(effect is not None and _shows(effect) for effect in rest):
            shared = [path for held in self._ranks.gather(self._pairing.shared) for path in held]
            self.swapping = Swapping(
                self._pairing,
                self._norms,
                self._given,
                self._references,
                self.design,
                frozenset(shared),
                self._alias,
                self.left_out,
            )
        return {} if self.swapping is None else self.swapping.regimes

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

        None where nothing does. Beyond what other norms in evaluation do.
        """
        found, others = self._raw(place, subset, groups), self.others(place, groups)
        return found if found is None or others is None else found.less(others)

    def others(self, place: str, groups: Tensor) -> Effect | None:
        """What it changes at a place that evaluation runs other norms than training.

        None where that is not shown: with the same norms in both, no less would be left.
        """
        if self.swapping is None:
            return None
        rest = self._raw(place, self.design.none, groups)
        if rest is None:
            return None
        if place in self.swapping.shared:  # in evaluation it gets what other norms have got
            return rest
        unit = self._clean.at[place].total().var().clamp(min=1e-300)
        ways = [
            (_square(left, unit), changed)
            for changed, left in self.swapping.ways(place, rest, groups)
        ]
        least, changed = min(ways, key=lambda way: way[0], default=(math.inf, rest))
        return changed if least <= _LEFT * _square(rest, unit) else None

    def _raw(self, place: str, subset: int, groups: Tensor = _NO_GROUPS) -> Effect | None:
        contrast = self.contrasts.at.get(place)
        return None if contrast is None else contrast.effect(subset, groups)


def _shows(effect: Effect) -> bool:
    return bool((effect.mean != 0).any() or (effect.var != 0).any())


def _square(effect: Effect, unit: Tensor) -> float:
    """Mean over channels of the squared change, of the mean in deviations and of the variance."""
    moved = effect.mean[0].square() / unit + (effect.var[0] / unit).square() / 4
    return float(moved.mean())
