"""The four ways of running the same batches, side by side, and what a place received in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from varshift._engine import Recording, Regime, groups_of
from varshift._explain.pairing import NormOrder, Pairing
from varshift._explain.reuse import has_unlike_runs
from varshift._explain.spread import PlaceLanes, SiteLanes, Spread
from varshift._measure.staleness import Arrived, inherited
from varshift.results import Norm

__all__ = ["Lanes"]


class Lanes:
    """Recordings of training, of evaluation, with noise off, and of the test data.

    All but the last see the same batches, so that what they share cancels in the jackknife: the
    same groups of samples are left out in each.

    Args:
        train: where training is recorded, with outputs and the scatter between batches; by default
            a recording of its own.
        test: the same of evaluation.
        regimes: "train" and "test" as another verb runs them, which record into both.
    """

    def __init__(
        self,
        train: Recording | None = None,
        test: Recording | None = None,
        regimes: Mapping[str, Regime] | None = None,
    ) -> None:
        self.train = train or Recording("training", outputs=True, scattered=True)
        self.test = test or Recording("evaluation", outputs=True)
        self._regimes = regimes or {
            "train": Regime("training", record=(self.train,), structure=True),
            "test": Regime("evaluation", record=(self.test,)),
        }
        self.clean = Recording("noise-free", outputs=True)
        self.data = Recording("test data", outputs=True, by_sample=True)
        self._orders = NormOrder(), NormOrder()

    @property
    def comparing(self) -> dict[str, Regime]:
        """Training as it is, whose first pass shows the structure, and evaluation as it is."""
        both = zip(self._regimes.items(), self._orders, strict=True)
        return {
            name: replace(regime, record=(*regime.record, order)) for (name, regime), order in both
        }

    @property
    def pairing(self) -> Pairing:
        """Which norms each mode runs, once both have been compared."""
        return Pairing.of(*self._orders, (self.train.stored, self.test.stored))

    @property
    def looking(self) -> dict[str, Regime]:
        """The test data, as in evaluation."""
        return {"data": Regime("evaluation", record=(self.data,))}

    @property
    def alias(self) -> dict[str, str]:
        """By name of an output in training, its name in evaluation, where that is another.

        With auxiliary heads training returns several outputs of which evaluation returns the first.
        """
        both = [
            recording.at.keys() - recording.stored.keys() for recording in (self.train, self.test)
        ]
        training, evaluation = (both[0] - both[1], both[1] - both[0])
        first = "output[0]"
        if evaluation != {"output"} or first not in training:
            return {}
        same = self.train.at[first].means.shape[1] == self.test.at["output"].means.shape[1]
        return {first: "output"} if same else {}

    def everywhere(self, path: str) -> bool:
        """Whether a norm was reached in every way of running the model."""
        several = [self.train, self.test, self.clean, *([self.data] if self.data.at else [])]
        return all(path in recording.at for recording in several)

    def groups(self, place: str) -> Tensor:
        """The groups of samples to leave out in turn there."""
        same = [recording.at for recording in (self.train, self.test, self.clean)]
        return groups_of(*(at[place] for at in same if place in at))

    def without_noise(self, place: str) -> Spread:
        """What a place receives with noise off."""
        return Spread.of(self.clean.at[place], self.groups(place))

    def arrived(self, norm: Norm, live: Tensor) -> Arrived:
        """What a norm received in training, as a cause of staleness is asked about it."""
        train = self.train.at[norm.path]
        mean, within = train.total().mean, train.within()
        return Arrived(mean, within, live, train.scattered, train.series, norm.eps)

    def unlike_runs(self, norm: Norm) -> bool:
        """Whether it is by the runs of a reused norm that one average is nobody's."""
        train = self.train.at.get(norm.path)
        return train is not None and has_unlike_runs(train)

    def site(self, norm: Norm, held: PlaceLanes) -> SiteLanes:
        """All that one norm received; `held` with the statistics of training."""
        path, groups = norm.path, self.groups(norm.path)
        train, stored = self.train.at[path], self.train.stored[path]
        spread = Spread.of(train, groups)
        # The groups do not keep variances within batches; what differs is the same share in each.
        # Of a constant it is nothing of nothing.
        share = (train.within() / spread.var[0]).nan_to_num(1.0)
        within = Spread(spread.mean, spread.var * share)
        # No moving average goes on where nothing is updated.
        weight = 0.0 if norm.frozen else inherited(norm.momentum, stored.count)
        mean, var = (weight * scatter for scatter in train.scattered)
        data = self.data.at.get(path)
        return SiteLanes(
            path=path,
            stored=Spread(stored.mean[None], stored.var[None]),
            within=within,
            train=spread,
            noisy=held.noisy,
            clean=held.signal,
            test=Spread.of(self.test.at[path], groups),
            data=None if data is None else Spread.of(data, groups_of(data)),
            inherited=(mean, var),
            precision=train.precision,
            eps=norm.eps,
            own=held.own,
            silent=held.silent,
        )
