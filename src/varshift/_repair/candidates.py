"""The after-training repairs by name, each a way from the model as lent to an edit of it.

A name may join several with "+", in the order in which they are to be done. Steps and teaching are
done once, however many candidates need them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward
from varshift._engine.borrow.model import borrowed
from varshift._engine.borrow.rng import seed_all
from varshift._repair.adjusting import adjusted
from varshift._repair.correction import corrected
from varshift._repair.distillation import Into, distilled
from varshift._repair.edits import Edit, edit_of
from varshift._repair.predictions import Reader
from varshift._repair.recalibration import Found, statistics_of
from varshift._repair.split import samples_of
from varshift._repair.teaching import Teacher, taught
from varshift.errors import MemoryBoundError, UsageError
from varshift.results.structure import Structure

__all__ = ["AUTO", "AVERAGING", "METHODS", "Bench", "parsed", "wild"]

METHODS = ("adjust-live", "adjust-once", "correct", "distill", "recalibrate")
# Not the combinations: a fit ends in the same place wherever it starts (docs/repair.md), and costs
# the most of all.
AUTO = ("recalibrate", "correct", "distill")
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


@dataclass
class Bench:
    """Where candidates are made: the borrowed model, its calibration batches, its noise.

    `notes` collects what a reader of the result must know, by step.
    """

    model: nn.Module
    held: list[Batch]
    example: Batch
    structure: Structure
    include_frozen: bool
    reader: Reader
    teacher: Teacher
    forward: Forward | None
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

    @property
    def _frozen(self) -> set[str]:
        return {norm.path for norm in self.structure.norms if norm.frozen}

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
            self._targets = taught(self.teacher, self.held, self.step, seed=self.seed)
            self._teaching = time.perf_counter() - start
        return self._targets

    def _timed(self, name: str, before: str, done: Edit) -> Edit:
        last = name.rpartition("+")[2]
        if last == "distill":
            self.noisy_targets()  # of the model as trained, so not inside the block below
        self.say(f"finding {name}")
        start = time.perf_counter()
        with borrowed(self.model), done.standing_in(self.model):
            seed_all(self.seed)
            edit: Edit = getattr(self, f"_{last.replace('-', '_')}")(name)
        # What it would take alone: teaching is done once, and counted for each that needs it.
        taught_ = self._teaching if last == "distill" else 0.0
        own = time.perf_counter() - start
        self.seconds[name] = own + taught_ + self.seconds.get(before, 0.0)
        return edit

    def _wanted(self, path: str) -> bool:
        return self.include_frozen or path not in self._frozen

    def _hit(self, path: str) -> bool:
        """Norms that noise reaches in some way: what lies elsewhere has nothing to make good."""
        reached = any(route.norm == path for route in self.structure.routes)
        return self._wanted(path) and (reached or wild(self.structure))

    def _recalibrate(self, name: str) -> Edit:
        held = samples_of(self.held)
        found = self._statistics(held)
        few = found.samples < held
        said = f"recalibrated on {found.samples} samples: more at once do not fit into memory"
        self.notes[name] = (*found.notes, *([said] if few else []))
        self.step(len(self.held))
        return edit_of(self.model, found.pairs())

    def _statistics(self, samples: int) -> Found:
        """On so many samples, or on as many as memory holds: each error says how many may fit."""
        try:
            return statistics_of(
                self.model,
                [batch.value for batch in self.held],
                forward=self.forward,
                max_samples=samples,
                include_frozen=self.include_frozen,
                sync=False,
                max_bytes=self.max_bytes,
            )
        except MemoryBoundError as error:
            fewer = min(error.fits, samples // 2)
            if fewer < 2:
                raise
        return self._statistics(fewer)

    def _correct(self, name: str) -> Edit:
        edit, self.notes[name] = corrected(
            self.model, self.example, self._wanted, forward=self.forward
        )
        return edit

    def _distill(self, name: str) -> Edit:
        return distilled(
            self.model,
            self.held,
            self.noisy_targets(),
            self._hit,
            self.reader,
            forward=self.forward,
            into=self.into,
            seed=self.seed,
            step=self.step,
        )

    def _adjust_once(self, name: str) -> Edit:
        return self._adjust(live=False)

    def _adjust_live(self, name: str) -> Edit:
        return self._adjust(live=True)

    def _adjust(self, *, live: bool) -> Edit:
        return adjusted(
            self.model, self.held, self._wanted, live=live, forward=self.forward, step=self.step
        )
