"""The passes that check makes: training, evaluation, and evaluation with settled statistics.

Each batch is run at most three times, whatever the rules ask: all of them read what these passes
have shown. An example stands for data by being passed several times in training, for fresh noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from varshift._check.ways import Way, Ways
from varshift._engine import (
    Batch,
    Fixed,
    Meeting,
    Passed,
    Recording,
    Regime,
    Session,
    Silenced,
    Tally,
    fixed,
)
from varshift._predict.means import by_line, odd
from varshift._predict.passes import DirectNoise
from varshift._predict.recorders import AtTest
from varshift.results import Expected, Statistics

__all__ = ["FEW", "NEUTRAL", "Met", "Pair", "Passes", "Seen"]

Pair = tuple[Recording, Recording]

NEUTRAL = 1e-6  # what rounding leaves of a mean of one
_BY_MEAN = (Silenced.BY_MEAN, Silenced.BY_DRAWN_MEAN)
_ROUNDS = 4  # how often an example is passed: enough for a band
_WILD_ROUNDS = 32  # what is drawn in Python is sized by drawing alone
_TRIED = 4  # lines of code whose noise is left out, or not, by itself
FEW = 8  # values per channel and batch below which a norm's own estimate drowns what noise does


@dataclass(frozen=True, eq=False)
class Met:
    """What one norm site had stored, and what arrived at it in each mode."""

    stored: Statistics
    train: Tally
    test: Tally

    @property
    def fresh(self) -> bool:
        """Whether it still holds the statistics it was made with."""
        return self.stored.untouched


@dataclass(frozen=True)
class Seen:
    """The norm sites that either pass reached."""

    sites: Mapping[str, Met]

    @property
    def fresh(self) -> bool:
        """Whether no norm has been trained."""
        return all(met.fresh for met in self.sites.values())


class Passes:
    """Runs what is asked for, once.

    Args:
        run: the session.
        held: its batches.
        real: whether they are data, not an example.
        outputs: whether both modes record the outputs too, for a verb that makes these passes.

    `left_out` are sources that were silenced by leaving them out, not by their mean.
    `train` and `test` are the recordings of both modes as lent. `begin` makes them, or another verb
    that runs the `regimes` beside its own, and then says `made`.
    """

    def __init__(
        self, run: Session, held: Sequence[Batch], real: bool, *, outputs: bool = False
    ) -> None:
        self.run, self.held, self.real = run, held, real
        self.noise = DirectNoise()
        self.calm, self.calm_groups = Recording("settled evaluation", by_sample=not real), AtTest()
        self.train = Recording("train", outputs=outputs, scattered=True, by_sample=not real)
        self.test = Recording("test", outputs=outputs, by_sample=not real)
        self._ways = Ways(run)
        self._noisy = self.noise.regime(self.train, self._ways)
        self._quiet, self._silent = _pair(), False
        self.left_out: frozenset[str] = frozenset()
        self._passed = Passed(0, 0)

    def begin(self) -> None:
        """Look at the model: all of the data in both modes, or the example once in training."""
        if self.real:
            self.run.report.begin("comparing training and evaluation")
            self._passed = self.run.run(self.held, self.regimes, self._step)
        else:
            self._passed = self.run.run(self.held, {"train": self._noisy})

    @property
    def regimes(self) -> dict[str, Regime]:
        """Both modes as lent."""
        return {"train": self._noisy, "test": self._evaluation}

    def made(self, passed: Passed) -> None:
        """All of the data has passed under `regimes`."""
        self._passed = passed

    @property
    def _evaluation(self) -> Regime:
        return Regime("evaluation", record=(self.test,))

    def _step(self, done: int, batch: Batch) -> None:
        self.run.report.draw(done, len(self.held))

    @property
    def wild(self) -> bool:
        """Whether what runs is drawn in Python."""
        noises = self.run.structure.noises
        return any(noise.active and noise.law == "control-flow" for noise in noises)

    @property
    def noisy(self) -> bool:
        """Whether training draws anything."""
        active = any(noise.active for noise in self.run.structure.noises)
        return active or bool(self.run.drew.get("train"))

    @cached_property
    def _short(self) -> bool:
        """Whether an example gives a norm that noise reaches few values: only more draws tell."""
        reached = {route.norm for route in self.run.structure.routes}
        return any(tally.count < FEW for path, tally in self.train.at.items() if path in reached)

    @property
    def rounds(self) -> int:
        """How often batches pass in training: each once, an example several times."""
        if self.real:
            return self._passed.batches
        if not self.noisy:
            return 1
        return _WILD_ROUNDS if self.wild or self._short else _ROUNDS

    @property
    def samples(self) -> int:
        """How many samples the batches hold."""
        return self._passed.samples

    @property
    def ways(self) -> Mapping[str, Way]:
        """By output, what of it is a number, and which sources reach it around all norms."""
        return self._ways.found

    @cached_property
    def seen(self) -> Seen:
        """What each norm met in both modes, as lent."""
        if not self.real:
            self.run.report.begin("comparing training and evaluation")
            again = list(self.held) * (self.rounds - 1)
            self.run.run(again, {"train": self._noisy}, self._step)
        stored = {**self.evaluated.stored, **self.train.stored}
        return Seen({path: self._met(path, held) for path, held in stored.items()})

    @cached_property
    def evaluated(self) -> Recording:
        """Evaluation as lent; an example is run when this is first asked for."""
        if not self.real:
            self.run.run(self.held, {"test": self._evaluation})
        return self.test

    def _met(self, path: str, stored: Statistics) -> Met:
        nothing = Tally.nothing(len(stored.var))
        both = (recording.at.get(path, nothing) for recording in (self.train, self.test))
        return Met(stored, *both)

    @cached_property
    def lasting(self) -> bool:
        """Whether evaluation draws random numbers too; one pass where none has been made yet."""
        if not self.run.structure.norms:
            return False
        return self.evaluated.bank.passes > 0 and bool(self.run.drew["test"])

    @cached_property
    def lasting_sources(self) -> frozenset[str]:
        """The sources that evaluation draws from as training does: they shift nothing."""
        if not self.lasting:
            return frozenset()
        return self.run.drawn_in_both(self.held[0] if self.held else None)

    @cached_property
    def settled(self) -> Mapping[str, Fixed]:
        """What training on these batches would store, where evaluation will read it.

        An example's evaluation is to meet the biased variance that its training divides by, so that
        n/(n − 1) is not taken for noise.
        """
        kept = {norm.path for norm in self.run.structure.norms if norm.frozen}
        kept |= self.evaluated.by_batch
        found = {}
        for path, met in self.seen.sites.items():
            if path not in kept and met.train.count:
                within = met.train.within()
                if not self.real:
                    count = met.train.count / self.rounds
                    within = within * (count - 1) / count
                mean = _finite(met.train.total().mean, met.stored.mean)
                found[path] = Fixed(mean, _finite(within, met.stored.var))
        return found

    @property
    def unexplained(self) -> Pair:
        """Training with every noise silenced that can be, and evaluation, norms settled in both.

        Of the first batch: where no cause is left but noise, both are the same number by number.
        What stays noisy in evaluation stays so here.
        """
        if not self._silent:
            self._silent = True
            self._silence_first()
        return self._quiet

    def _silence_first(self) -> None:
        self._silence(list(self.held[:1]) * (_WILD_ROUNDS if self.wild else 1))

    def leave_out(self, better: Callable[[Pair, Pair], bool]) -> None:
        """Silence the first batch by leaving out noise that is silenced by a mean.

        Evaluation has not the mean of every noise, and it may have that of one and not of another.
        So all of them are left out, and then those of each line of code are tried the other way;
        each is kept if that is `better` than what was.
        """
        ways = (name for name, how in self.run.silenced.items() if how in _BY_MEAN)
        asked = odd(self.run, frozenset(ways))
        if not asked:
            return
        self._try(asked, better)
        alike = by_line(self.run.structure, asked)
        for sources in alike[:_TRIED] if len(alike) > 1 else ():
            self._try(self.left_out ^ sources, better)

    def _try(self, left_out: frozenset[str], better: Callable[[Pair, Pair], bool]) -> None:
        """Silence the first batch with these left out; as before if that is no `better`."""
        before = self._quiet, self.left_out
        ways = dict(self.run.silenced)
        self._quiet, self.left_out = _pair(), left_out
        self._silence_first()
        if not better(self._quiet, before[0]):
            self._quiet, self.left_out = before
            self.run.silenced.update(ways)

    def silence_all(self) -> None:
        """The same of the other batches."""
        if self.run.ranks.any(len(self.held) > 1):
            self._silence(self.held[1:])

    def _silence(self, batches: Sequence[Batch]) -> None:
        norms = fixed(self.settled)
        blend = self._silenced if self.noisy else None
        silent, evaluation = self._quiet
        regimes = {
            "silenced": Regime(
                "training", record=(silent,), norms=norms, blend=blend, leave_out=self.left_out
            ),
            "first settled": Regime("evaluation", record=(evaluation,), norms=norms),
        }
        self.run.run(batches, regimes)

    def _silenced(self, meeting: Meeting) -> Tensor:
        if meeting.silent is None or meeting.name in self.lasting_sources:
            return meeting.noisy
        return meeting.silent

    @property
    def settles(self) -> bool:
        """Whether `at_test` has been asked for, and so has been run."""
        return "at_test" in self.__dict__

    @cached_property
    def expected(self) -> Mapping[str, Expected]:
        """What theory says of each norm in these noisy passes, against settled evaluation."""
        assert self.at_test is self.calm
        return self.noise.sites(self.run.structure, self.samples, self.calm_groups)

    @cached_property
    def at_test(self) -> Recording:
        """What each norm receives in evaluation with settled statistics."""
        regime = Regime(
            "evaluation", record=(self.calm, self.calm_groups), norms=fixed(self.settled)
        )
        batches = self.held if self.real else list(self.held) * self.rounds
        self.run.report.begin("evaluating with settled statistics")
        self.run.run(batches, {"settled": regime}, self._step)
        return self.calm


def _pair() -> Pair:
    return (
        Recording("silenced training", by_sample=True),
        Recording("settled evaluation", by_sample=True),
    )


def _finite(value: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(torch.isfinite(value), value, otherwise)
