"""What the rules look at: the structure at once, passes and sizes when a rule first asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal, TypeVar

from torch import Tensor, nn

from varshift._check.passes import Seen, draws_in_evaluation, look
from varshift._check.places import class_line
from varshift._check.sizes import Size, from_checkpoint, from_example, from_measure
from varshift._check.staleness import against
from varshift._engine.batches import Batch, Forward
from varshift._engine.borrow.model import Buffers
from varshift._engine.progress import SILENT, Reporter
from varshift._engine.sites import Handle, norm_handles
from varshift.results.findings import Basis
from varshift.results.structure import Line, Noise, Structure, in_a_file

__all__ = ["Evidence", "Task"]

Task = Literal["regression"]
Found = TypeVar("Found")

FEW = 8  # values per channel and batch below which a norm's own estimate drowns what noise does
_ROUNDS = 4  # how often an example is passed: enough for a band
_WILD_ROUNDS = 32  # what is drawn in Python is sized by drawing alone


@dataclass
class Evidence:
    """A borrowed model in training mode, the batches, and what has been found out so far.

    `real`: the batches are data, not an example. `notes` is what rules could not analyse.
    """

    model: nn.Module
    structure: Structure
    held: Sequence[Batch]
    real: bool
    lent_training: bool
    max_severity: float
    task: Task | None = None
    forward: Forward | None = None
    report: Reporter = SILENT
    notes: list[str] = field(default_factory=list)

    @property
    def basis(self) -> Basis:
        """What a figure from the passes rests on."""
        return "data" if self.real else "example"

    @property
    def wild(self) -> bool:
        """Whether what runs is drawn in Python."""
        return any(noise.active and noise.law == "control-flow" for noise in self.structure.noises)

    @cached_property
    def rounds(self) -> list[Batch]:
        """The batches to pass; an example several times, for fresh noise each time."""
        if self.real:
            return list(self.held)
        return list(self.held) * (_WILD_ROUNDS if self.wild else _ROUNDS)

    @cached_property
    def seen(self) -> Seen:
        """What each norm met in both modes, as lent."""
        return look(self.model, self.rounds, self.forward, self.report)

    @cached_property
    def lasting(self) -> bool:
        """Whether evaluation draws random numbers too; one pass where none has been made yet."""
        if "seen" in self.__dict__:
            return self.seen.lasting
        return bool(self.structure.norms) and draws_in_evaluation(
            self.model, self.held[0], self.forward
        )

    def stored(self, path: str) -> tuple[Tensor, int] | None:
        """The stored variances of a norm (C,) float64 and the steps it has counted."""
        handle = self._handles.get(path)
        if handle is None:
            return None
        steps = getattr(handle.module, "num_batches_tracked", None)
        return (
            handle.running_var.detach().double().cpu(),
            int(steps) if isinstance(steps, Tensor) else 0,
        )

    @property
    def trained(self) -> bool:
        """Whether any norm holds other statistics than it was made with."""
        return any(
            bool((h.running_var != 1).any() or (h.running_mean != 0).any())
            for h in self._handles.values()
        )

    def fits_evaluation(self, path: str) -> bool:
        """Whether the stored variance is that of evaluation and not that of training."""
        met = self.seen.sites.get(path)
        if met is None or met.fresh:  # what it was made with fits by chance at most
            return False
        off, on = (against(tally, met.stored.var) for tally in (met.test, met.train))
        return (
            off is not None and on is not None and off.severity <= self.max_severity < on.severity
        )

    @cached_property
    def _handles(self) -> dict[str, Handle]:
        return norm_handles(self.model)

    @cached_property
    def frozen(self) -> set[str]:
        """Norms that use stored statistics in training."""
        return {norm.path for norm in self.structure.norms if norm.frozen}

    @cached_property
    def sizes(self) -> dict[str, Size]:
        """The shift by noise at every norm that noise reaches."""
        reached = {route.norm for route in self.structure.routes}
        if not self.structure.norms or not (reached or self.wild):
            return {}
        if self.real:
            # Where no tap tells whose the statistics are, as in scripted code, nothing is settled.
            measured = partial(from_measure, self.model, self.held, self.forward, self.report)
            return self.settled(measured) if self.seen.sites else {}
        found: dict[str, Size] = {}
        if not self.seen.fresh:
            first = self.held[0]
            made = from_checkpoint(self.model, first, self.forward, self.report)
            found = self._of_training(made)
        if reached - set(found) or self.wild:
            settled = partial(from_example, self.model, self.rounds, self.forward, self.report)
            found = self.settled(settled) | found
        return found

    def _of_training(self, found: dict[str, Size]) -> dict[str, Size]:
        """Those that store the variance of training, as the checkpoint's sizes take for granted."""
        fit = [p for p in found if p not in self.frozen and self.fits_evaluation(p)]
        if fit:
            self.notes.append(
                f"{len(fit)} norms (first {fit[0]}) store the statistics that evaluation has on "
                "the example, as after varshift.recalibrate: sized on the example, not from the "
                "checkpoint; evaluation may be right as it is: pass data to see"
            )
        return {path: size for path, size in found.items() if path not in fit}

    def settled(self, work: Callable[[], Found]) -> Found:
        """`work` on the model with the statistics that training on the batches would store."""
        buffers = Buffers(self.model)
        try:
            if self.structure.norms:
                self.seen.settle(self.frozen, rounds=0 if self.real else len(self.rounds))
            return work()
        finally:
            buffers.restore()

    def few(self, path: str) -> bool:
        """Whether batches give a norm so few values per channel that they say little on noise."""
        met = self.seen.sites.get(path)
        return met is not None and met.train.count / len(self.rounds) < FEW

    def surely(self, low: float) -> bool:
        """Whether the lower end of a severity's band exceeds what is allowed."""
        return low > self.max_severity

    def line(self, noises: Sequence[Noise], place: str) -> Line | None:
        """Where to point: the first noise that has a line, else the class around it or the norm."""
        drawn = [noise.line for noise in noises if noise.line is not None]
        for line in drawn:
            if in_a_file(line):
                return line
        around = noises[0].path if noises else place
        return class_line(self.model, around) or next(iter(drawn), None)
