"""The after-training repairs by name, each a way from the model as lent to an edit of it.

A name may join several with "+", in the order in which they are to be done. Steps and teaching are
done once, however many candidates need them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import Any

from torch import Tensor

from varshift._counting import counted
from varshift._engine import Batch, Edit, Session, edit_of
from varshift._repair.adjusting import adjusted
from varshift._repair.correction import corrected
from varshift._repair.distillation import Into, distilled
from varshift._repair.recalibration import Found, statistics_of
from varshift._repair.split import samples_of
from varshift._repair.teaching import Teacher
from varshift.errors import MemoryBoundError, ModelError, UsageError, VarshiftError
from varshift.results import Structure

__all__ = ["AUTO", "AVERAGING", "METHODS", "Bench", "parsed", "wild"]

METHODS = ("adjust-live", "adjust-once", "correct", "distill", "recalibrate")
# Not the combinations: a fit ends in the same place wherever it starts (docs/repair.md), and costs
# the most of all.
AUTO = ("recalibrate", "correct", "distill")
Step = tuple[Edit, tuple[str, ...]]  # new values, and notes
AVERAGING = "averaging noisy passes"  # on the progress bar


def parsed(method: str | Sequence[str]) -> tuple[str, ...]:
    """The candidates that `method=` asks for; UsageError names the ones there are."""
    if not isinstance(method, (str, Sequence)):
        raise UsageError(f"method is {method!r}; pass 'auto', the name of a repair or a list")
    asked = AUTO if method == "auto" else (method,) if isinstance(method, str) else tuple(method)
    for name in asked:
        _refuse_name(name)
    if not asked:
        raise UsageError("method is empty; pass 'auto' or the name of a repair")
    twice = [name for place, name in enumerate(asked) if name in asked[:place]]
    if twice:
        raise UsageError(f"method names {twice[0]!r} twice; each is tried once")
    return asked


def _refuse_name(name: Any) -> None:
    if name == "auto":
        raise UsageError(
            f"'auto' stands for {', '.join(AUTO)} and takes no others beside it; list their names"
        )
    if not isinstance(name, str) or any(part not in METHODS for part in name.split("+")):
        raise UsageError(
            f"method {name!r} is none of auto, {', '.join(METHODS)}, or several joined by +"
        )


def wild(structure: Structure) -> bool:
    """Whether the model draws what decides its way, so that noise may reach any norm unseen."""
    return any(noise.active and noise.law == "control-flow" for noise in structure.noises)


@dataclass(frozen=True)
class _Made:
    """What one rank has made of a step: new values by name, or why it could not."""

    edit: Edit | None
    notes: tuple[str, ...]
    seconds: float
    error: str


@dataclass
class Bench:
    """Where candidates are made: the borrowed model, its calibration batches, its noise.

    `notes` collects what a reader of the result must know, by step. With several ranks, what has
    to be fitted is fitted on the one that holds most calibration samples, and the others take it
    over; statistics are those of all ranks.
    """

    run: Session
    held: list[Batch]
    example: Batch
    include_frozen: bool
    teacher: Teacher
    into: Into
    seed: int
    max_bytes: int | None
    step: Callable[[int], None] = lambda passes: None
    say: Callable[[str], None] = lambda label: None
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    _edits: dict[str, Edit] = field(default_factory=dict)
    _targets: list[Tensor] | None = None
    _teaching: float = 0.0

    def __post_init__(self) -> None:
        self._structure = self.run.structure
        self._frozen = {norm.path for norm in self._structure.norms if norm.frozen}
        counts = self.run.ranks.gather(samples_of(self.held), "calibration samples")
        self._samples, self._most = sum(counts), max(counts)
        self._leader = counts.index(max(counts))
        self._leads = self._leader == self.run.ranks.rank

    def edit(self, method: str) -> Edit:
        """The edit of a candidate; the model is left as it is."""
        done = Edit({})
        before = ""
        for name in accumulate(method.split("+"), lambda one, more: f"{one}+{more}"):
            if name not in self._edits:
                self._edits[name] = done.then(self._timed(name, before, done))
                self.notes[name] = (*self.notes.get(before, ()), *self.notes.get(name, ()))
            done, before = self._edits[name], name
        return done

    def noisy_targets(self) -> list[Tensor]:
        """The noise-averaged predictions of the calibration batches."""
        if self._targets is None:
            start = time.perf_counter()
            self.say(AVERAGING)
            self._targets = self.teacher.taught(self.held, self.step, seed=self.seed)
            self._teaching = time.perf_counter() - start
        return self._targets

    def _timed(self, name: str, before: str, done: Edit) -> Edit:
        """The step that makes `name` of `before`, and what it took; the same on all ranks."""
        last = name.rpartition("+")[2]
        if self.run.ranks.several:
            made = self._made_once(name, last, done)
        else:
            made = self._made(name, last, done)
        if made.edit is None:
            raise ModelError(made.error)
        self.notes[name] = made.notes
        self.seconds[name] = made.seconds + self.seconds.get(before, 0.0)
        return made.edit

    def _made_once(self, name: str, last: str, done: Edit) -> _Made:
        """What the leader has made, on every rank."""
        made = None
        if self._leads or last in _ON_ALL_RANKS:
            try:
                made = self._made(name, last, done)
            except VarshiftError as error:
                made = _Made(None, (), 0.0, str(error))
        found = self.run.ranks.gather(made if self._leads else None, f"finding {name}")
        leaders = found[self._leader]
        assert leaders is not None
        return leaders

    def _made(self, name: str, last: str, done: Edit) -> _Made:
        if last == "distill":
            self.noisy_targets()  # of the model as trained, so not inside the block below
        self.say(f"finding {name}")
        start = time.perf_counter()
        with self.run.trying(done, seed=self.seed):
            edit, notes = _MAKERS[last](self)
        # What it would take alone: teaching is done once, and counted for each that needs it.
        teaching = self._teaching if last == "distill" else 0.0
        return _Made(edit, notes, time.perf_counter() - start + teaching, "")

    def _wanted(self, path: str) -> bool:
        return self.include_frozen or path not in self._frozen

    def _hit(self, path: str) -> bool:
        """Norms that noise reaches in some way: what lies elsewhere has nothing to make good."""
        reached = any(route.norm == path for route in self._structure.routes)
        return self._wanted(path) and (reached or wild(self._structure))

    def recalibrated(self) -> Step:
        """Exact statistics, on as many samples as memory holds."""
        found = self._statistics(self._most)
        few = found.samples < self._samples
        samples = counted(found.samples, "sample")
        said = f"recalibrated on {samples}: more at once do not fit into memory"
        self.step(len(self.held))
        return edit_of(self.run.model, found.pairs()), (*found.notes, *([said] if few else []))

    def _statistics(self, samples: int) -> Found:
        """On so many samples, or on as many as memory holds: each error says how many may fit."""
        found: Found | None = None
        failed: VarshiftError | None = None
        try:
            found = statistics_of(
                self.run.model,
                [batch.value for batch in self.held],
                forward=self.run.forward,
                max_samples=samples,
                include_frozen=self.include_frozen,
                max_bytes=self.max_bytes,
            )
        except VarshiftError as error:
            failed = error
        # One rank may lack the memory: then all take fewer.
        fits = failed.fits if isinstance(failed, MemoryBoundError) else None
        bounds = [bound for bound in self.run.ranks.gather(fits, "memory") if bound is not None]
        if found is not None and not bounds:
            return found
        fewer = min([*bounds, samples // 2])
        if not bounds or fewer < 2:
            raise failed or ModelError("another rank lacks the memory to recalibrate")
        return self._statistics(fewer)

    def corrected(self) -> Step:
        """Variances less what theory says the noise had put into them."""
        return corrected(self.run.model, self.example, self._wanted, forward=self.run.forward)

    def distilled(self) -> Step:
        """Scales and offsets fitted to the noise-averaged prediction."""
        edit = distilled(
            self.run,
            self.held,
            self.noisy_targets(),
            self._hit,
            self.teacher.reader,
            into=self.into,
            seed=self.seed,
            step=self.step,
        )
        return edit, ()

    def adjusted(self, *, live: bool) -> Step:
        """The paper's own."""
        return adjusted(self.run, self.held, self._wanted, live=live, step=self.step), ()


_MAKERS: dict[str, Callable[[Bench], Step]] = {
    "adjust-live": partial(Bench.adjusted, live=True),
    "adjust-once": partial(Bench.adjusted, live=False),
    "correct": Bench.corrected,
    "distill": Bench.distilled,
    "recalibrate": Bench.recalibrated,
}
# These speak with the other ranks while they are made; the rest are made on one rank for all.
_ON_ALL_RANKS = ("correct", "recalibrate")
