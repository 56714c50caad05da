"""Pass after pass with noise put in, until what the norms receive is what they store."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch

from varshift._engine import Batch
from varshift._footprint.choosing import Choice, choose
from varshift._footprint.drift import STILL, Drift, drifts
from varshift._footprint.fitting import Estimates, Fit, fit
from varshift._footprint.memory import Memory
from varshift._footprint.passes import Lever, PassSetting, Received, noisy_pass, probing_pass
from varshift._footprint.places import NoisePlace
from varshift._footprint.records import NormRecord
from varshift._footprint.routes import PlaceReach

__all__ = ["LEAST_CHANNELS", "MOST_PASSES", "SETTLED", "Settling"]

MOST_PASSES = 24
LEAST_CHANNELS = 4
SETTLED = 0.1  # standard errors that τ may still move by
_LOOKS, _STRIDE = 4, 3
_MOST = 19.0  # τ, a drop_p of 0.95
_FAR = 0.05  # τ from which on slopes taken without it are taken again
_SPENT = 3  # passes over all data that a probing may cost, if that leaves enough batches
_FEWEST = 4  # batches of a probing
_ALMOST = 1.0  # standard errors that τ may still move by when drift is told
_FREE = Drift(0.0, math.inf)
_LITTLE = 0.02  # what weights that still move commonly do
_FEW = f"fewer than {LEAST_CHANNELS} channels vary: too few to estimate an error"


@dataclass
class Settling:
    """One estimate in progress: what is judged, and what has been found so far.

    `free`: the scale of each norm's variance is not known. `asked`: the user has named the places.
    """

    setting: PassSetting
    data: list[Batch]
    memories: dict[str, Memory]
    routes: list[PlaceReach]
    free: bool
    asked: bool
    taus: dict[int, float] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    evidence: dict[str, NormRecord] = field(default_factory=dict)
    drifts: dict[str, Drift] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    passes: int = 0
    moved: float = 0.0

    def __post_init__(self) -> None:
        numbers = self.setting.numbers
        self.places: dict[int, NoisePlace] = {number: place for place, number in numbers.items()}
        self._reach = {place: route.reach for route in self.routes for place in route.noises}
        self._levers: dict[NoisePlace, dict[str, Lever]] = {}
        self._first: dict[NoisePlace, dict[str, Lever]] = {}  # those without any noise put in
        self._injected: dict[int, float] = {}
        self._probed: dict[int, float] = {}
        self._near = self.free  # whether the noise put in is about what there was

    def received(self) -> dict[str, Received]:
        """One pass over all data with the noise found so far."""
        self._injected = {number: _put(tau) for number, tau in self.taus.items()}
        self.passes += 1
        seen = noisy_pass(self.setting, self._by_place(), self.data, self._step)
        self.setting.run.report(self.passes, MOST_PASSES)
        return seen

    def settle(self, seen: dict[str, Received]) -> Estimates:
        """Until what the norms receive is what they store; `seen` is what they received without."""
        for _ in range(_LOOKS):
            # A norm's channels tell where its noise stood once the noise further up is put in.
            changed = self._look(seen)
            if not self.choices:
                return Estimates({}, {})
            if not changed:
                break
            seen = self._towards(seen)
            if not self._far():
                break
        fitted, seen = self._still(seen)
        if self._far() and self.passes < MOST_PASSES:
            self._look(seen)
            fitted, _ = self._still(seen)
        return fitted

    def alone(self, path: str, number: int) -> Fit:
        """What this norm alone says of a place, had its noise been the only one it met first.

        By what noise did there when none was put in: noises in series multiply each other.
        """
        record, place = self.evidence[path], self.places[number]
        left = torch.ones_like(record.stored_var)
        left[record.live] = record.quiet
        without = replace(
            record,
            means=record.means - record.shifted,
            variances=record.variances * left,
            levers={number: self._first[place][path]},
            injected={},
        )
        return fit({path: without}, [number], drifts={path: self.drifts[path]}).places[number]

    def home(self, number: int) -> str:
        """The norm that meets noise of that place first."""
        return self._reach[self.places[number]][0]

    def candidates(self, path: str) -> dict[int, NoisePlace]:
        """The places whose noise this norm is the first to meet, by number."""
        return {n: place for n, place in self.places.items() if self.home(n) == path}

    def _look(self, seen: dict[str, Received]) -> bool:
        """What follows from noise at each place, and where it stood by that; whether elsewhere."""
        groups = _groups(self._reach)
        some = self._some(_SPENT / (1 + 2 * len(groups)))
        self._probed = {number: _put(tau) for number, tau in self.taus.items()}
        self._levers = probing_pass(self.setting, self._by_place(), groups, self._reach, some)
        self._first = self._first or self._levers
        self._gather(seen)
        self._leave_dead()
        among = {path: self.candidates(path) for path in self.evidence}
        before = {path: choice.taken for path, choice in self.choices.items()}
        known = {path: self._at_least(path) for path in self.evidence}
        self.choices = choose(self.evidence, among, known, self.asked)
        changed = before != {path: choice.taken for path, choice in self.choices.items()}
        if changed:
            self._near = self.free
            self.drifts = dict.fromkeys(self.evidence, _FREE if self.free else STILL)
        return changed

    def _at_least(self, path: str) -> Drift:
        """What is known of a norm's drift, before all else that weights commonly move a little."""
        if self.free:
            return _FREE
        known = self.drifts.get(path, STILL)
        return Drift(known.value, max(known.error, _LITTLE))

    def _some(self, share: float) -> list[Batch]:
        """About that share of all batches, evenly; the same ones however many ranks there are."""
        counts = self.setting.run.ranks.gather(len(self.data))
        first, total = sum(counts[: self.setting.run.ranks.rank]), sum(counts)
        every = max(1, total // max(_FEWEST, int(share * total)))
        return [batch for batch in self.data if (first + batch.index) % every == 0]

    def _towards(self, seen: dict[str, Received]) -> dict[str, Received]:
        """A few passes, of which each brings one more norm to rest."""
        for _ in range(_STRIDE):
            self._gather(seen)
            if self._move(self._fit(self.drifts)) <= _ALMOST or self.passes >= MOST_PASSES:
                break
            seen = self.received()
        return seen

    def _still(self, seen: dict[str, Received]) -> tuple[Estimates, dict[str, Received]]:
        """Passes until no τ moves by more than a fraction of its error."""
        while True:
            self._gather(seen)
            if self._near and not self.free:
                # Far from the noise there was, channels and means tell of no drift.
                self.drifts = self._drifts()
            fitted = self._fit(self.drifts)
            self.moved = self._move(fitted)
            if not self._near and self.moved <= _ALMOST:
                self._near = True
                continue  # the same once more, and drift with it
            if self.passes >= MOST_PASSES or (self._near and self.moved <= SETTLED):
                return fitted, seen
            seen = self.received()

    def _gather(self, seen: dict[str, Received]) -> None:
        self.evidence = {
            path: self._evidence(path, received)
            for path, received in seen.items()
            if path in self.memories
        }

    def _evidence(self, path: str, received: Received) -> NormRecord:
        memory = self.memories[path]
        met = [number for number, place in self.places.items() if path in self._reach[place]]
        return NormRecord(
            stored_mean=memory.mean,
            stored_var=memory.var,
            means=torch.stack(received.means),
            variances=torch.stack(received.variances),
            samples=torch.tensor(received.samples, dtype=torch.float64, device="cpu"),
            levers={number: self._levers[self.places[number]][path] for number in met},
            injected={n: tau for n, tau in self._injected.items() if n in met},
            memory=memory.share,
        )

    def _drifts(self) -> dict[str, Drift]:
        """What the means tell of each norm's common factor."""
        norms = self._fit(dict.fromkeys(self.evidence, STILL)).norms
        told = drifts([each.witness for each in norms.values()])
        return dict(zip(norms, told, strict=True))

    def _fit(self, known: dict[str, Drift]) -> Estimates:
        taken = [number for choice in self.choices.values() for number in choice.taken]
        freed = list(dict.fromkeys([*taken, *self._injected]))
        return fit(self.evidence, taken, freed=freed, drifts=known)

    def _move(self, fitted: Estimates) -> float:
        """Take the new τ; by how many standard errors the noise put in must move at most."""
        moved = 0.0
        for number, found in fitted.places.items():
            change = abs(_put(found.tau) - self._injected.get(number, 0.0))
            moved = max(moved, change / found.tau_se if found.tau_se else 0.0)
        left = [tau for n, tau in self._injected.items() if n not in fitted.places]
        self.taus = {number: found.tau for number, found in fitted.places.items()}
        return math.inf if any(left) else moved

    def _far(self) -> bool:
        """Whether the noise is another by now than that which slopes were taken with."""
        return any(
            abs(_put(tau) - self._probed.get(number, 0.0)) > _FAR
            for number, tau in self.taus.items()
        )

    def _leave_dead(self) -> None:
        """Norms of which too few channels vary are left out, and what only they would meet."""
        for path, evidence in list(self.evidence.items()):
            if int(evidence.live.sum()) < LEAST_CHANNELS:
                self.skipped[path] = _FEW
                del self.evidence[path], self.memories[path]
        for place, reach in list(self._reach.items()):
            self._reach[place] = tuple(path for path in reach if path in self.memories)
            if not self._reach[place]:
                del self._reach[place], self.places[self.setting.numbers[place]]

    def _by_place(self) -> dict[NoisePlace, float]:
        return {self.places[number]: _put(tau) for number, tau in self.taus.items()}

    def _step(self, done: int, batch: Batch) -> None:
        part = done / len(self.data)
        self.setting.run.report.draw(self.passes - 1 + part, MOST_PASSES)


def _put(tau: float) -> float:
    """The noise that is put in for an estimate: none below 0, and none beyond reason."""
    return min(max(tau, 0.0), _MOST)


def _groups(reach: dict[NoisePlace, tuple[str, ...]]) -> list[list[NoisePlace]]:
    """Places of a group reach no norm in common, so that one pass tells them apart."""
    groups: list[tuple[list[NoisePlace], set[str]]] = []
    for place, norms in reach.items():
        for held, met in groups:
            if held[0].smooth == place.smooth and not met & set(norms):
                held.append(place)
                met.update(norms)
                break
        else:
            groups.append(([place], set(norms)))
    return [held for held, _ in groups]
