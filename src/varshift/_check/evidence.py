"""What the rules look at: the structure at once, passes and sizes when a rule first asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from torch import Tensor

from varshift._check.passes import FEW, NEUTRAL, Pair, Passes, Seen
from varshift._check.places import class_line
from varshift._check.sizes import (
    Size,
    drawn_again,
    from_checkpoint,
    left_by_blame,
    measured,
    predicted,
    unattributed,
)
from varshift._check.staleness import Stale, against
from varshift._counting import counted_names, verb
from varshift._engine import Handle, Session, Silenced, norm_handles
from varshift._measure.few import Few
from varshift._measure.staleness import looks_trained
from varshift.results import Explanation, Finding, Line, Noise, Route, Structure
from varshift.results.findings import Basis
from varshift.results.structure import in_a_file

__all__ = ["Evidence", "Task"]

Task = Literal["regression"]

_FITS = 1.22  # of all channels together: what displaces the output by a tenth of a deviation


@dataclass
class Evidence:
    """A borrowed model, the passes over its batches, and what has been found out so far.

    `notes` is what rules could not analyse, `apart` what stored statistics are off by in fewer than
    half of a norm's channels. Where the same batches have been explained already,
    `explanation` spares the passes that it has made.
    """

    run: Session
    passes: Passes
    max_severity: float
    task: Task | None = None
    notes: list[str] = field(default_factory=list)
    explanation: Explanation | None = None
    apart: dict[str, Few] = field(default_factory=dict)

    @property
    def structure(self) -> Structure:
        """The noises, norms and routes."""
        return self.run.structure

    @property
    def real(self) -> bool:
        """Whether figures rest on data, not on an example."""
        return self.passes.real

    @property
    def basis(self) -> Basis:
        """What a figure from the passes rests on."""
        return "data" if self.real else "example"

    @property
    def lent_training(self) -> bool:
        """Whether the model was lent in train mode."""
        return self.run.lent_training

    @property
    def seen(self) -> Seen:
        """What each norm met in both modes, as lent."""
        return self.passes.seen

    @property
    def looked(self) -> bool:
        """Whether both modes have been looked at yet."""
        return "seen" in self.passes.__dict__

    @property
    def lasting(self) -> bool:
        """Whether evaluation draws random numbers too."""
        return self.passes.lasting

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

    def fresh(self, path: str) -> bool:
        """Whether a norm holds the statistics that it was made with."""
        held = self._handles.get(path)
        return held is not None and bool(
            (held.running_var == 1).all() and (held.running_mean == 0).all()
        )

    def weights_trained(self, path: str) -> bool:
        """Whether a norm's weights show that it was trained, whatever it has stored."""
        held = self._handles.get(path)
        return held is not None and looks_trained(held, self._handles.values())

    @property
    def trained(self) -> bool:
        """Whether any norm holds other statistics than it was made with."""
        return any(not self.fresh(path) for path in self._handles)

    def fits_evaluation(self, path: str) -> bool:
        """Whether the stored variance is that of evaluation and not that of training."""
        met = self.seen.sites.get(path)
        if met is None or met.fresh:  # what it was made with fits by chance at most
            return False
        var, eps = met.stored.var, self.structure.norm(path).eps
        off, on = (against(tally, var, eps) for tally in (met.test, met.train))
        if off is None or on is None or off.overall > _FITS:
            return False
        return off.severity <= self.max_severity < on.severity

    @cached_property
    def _handles(self) -> dict[str, Handle]:
        return norm_handles(self.run.model)

    @cached_property
    def frozen(self) -> set[str]:
        """Norms that use stored statistics in training."""
        return {norm.path for norm in self.structure.norms if norm.frozen}

    @cached_property
    def by_batch(self) -> set[str]:
        """Norms that normalise by their batch in evaluation too."""
        return self.passes.evaluated.by_batch if self.structure.norms else set()

    @property
    def steady(self) -> set[str]:
        """Norms that divide by the same kind of figure in both modes, so that noise shifts none."""
        return self.frozen | self.by_batch

    @cached_property
    def routes(self) -> list[Route]:
        """Those of noise that evaluation does not draw just as well."""
        lasting = self.passes.lasting_sources
        return [route for route in self.structure.routes if route.noise not in lasting]

    @property
    def loud(self) -> set[str]:
        """Sources that could not be silenced where `rest` was found out.

        What is replaced by its mean is not silent where that mean is no neutral one: a token that
        stands in for some of the rows.
        """
        return {
            noise.name
            for noise in self.structure.noises
            if noise.active
            and (
                noise.law == "unknown"
                or self.run.silenced.get(noise.name, Silenced.NOT) is Silenced.NOT
            )
        }

    @property
    def left_out(self) -> frozenset[str]:
        """Sources that were silenced by leaving them out: evaluation has not their mean."""
        if self.explanation is not None:
            return frozenset(self.explanation.blame.left_out)
        return self.passes.left_out if self.left else frozenset()

    @cached_property
    def left(self) -> dict[str, Size]:
        """What no noise that can be silenced accounts for, at every norm that has a figure.

        Found on the first batch, where nothing but rounding is left as a rule; on all of them where
        one does not decide.
        """
        if not self.seen.sites:
            return {}
        if self.explanation is not None:
            return left_by_blame(self.explanation.blame, self.passes)
        found = unattributed(self.passes)
        if _largest(found) > self.max_severity:
            self.passes.leave_out(self._nearer)
            found = unattributed(self.passes)
        undecided = any(s.low <= self.max_severity < s.severity for s in found.values())
        if self.real and undecided:
            self.passes.silence_all()
            found = unattributed(self.passes)
        return found

    def _nearer(self, one: Pair, other: Pair) -> bool:
        """Whether training is nearer to evaluation in one pair of passes than in another."""
        return _largest(unattributed(self.passes, one)) < _largest(unattributed(self.passes, other))

    @cached_property
    def rest(self) -> dict[str, Size]:
        """The same, at norms where that is surely much."""
        return {p: size for p, size in self.left.items() if self.surely(size.low)}

    @cached_property
    def sizes(self) -> dict[str, Size]:
        """The shift by noise at every norm that noise reaches."""
        reached = {route.norm for route in self.routes}
        if not self.structure.norms or not (reached or self.passes.wild):
            return {}
        if self.real:
            # Where no tap tells whose the statistics are, as in scripted code, nothing is settled.
            return measured(self.passes) if self.seen.sites else {}
        found: dict[str, Size] = {}
        if not self.seen.fresh:
            found = self._of_training(from_checkpoint(self.run, self.passes.held[0]), reached)
        if reached - set(found) or self.passes.wild:
            found = predicted(self.passes) | found
        return found | self._drawn(found)

    def _drawn(self, found: dict[str, Size]) -> dict[str, Size]:
        """Those where only drawing tells: too few values, or noise that evaluation draws too."""
        lasting = {r.norm for r in self.structure.routes} if self.passes.lasting_sources else set()
        lasting |= self._of_another_mean()
        wanted = {
            path
            for path, size in found.items()
            if path in lasting or (size.basis != "checkpoint" and self.few(path))
        }
        drawn = drawn_again(self.passes) if wanted else {}
        return {path: size for path, size in drawn.items() if path in wanted}

    def _of_another_mean(self) -> set[str]:
        """The norms reached by noise of another mean than evaluation has: theory takes it for one.

        Where the mean of every source is 1 nothing is run to see.
        """
        odd = any(abs(mean - 1) > NEUTRAL for mean in self.run.means.values())
        left_out = self.left_out if self.run.ranks.any(odd) else frozenset()
        return {route.norm for route in self.routes if route.noise in left_out}

    def _of_training(self, found: dict[str, Size], reached: set[str]) -> dict[str, Size]:
        """Those that store the variance of training, as the checkpoint's sizes take for granted.

        Of what a recalibrated norm stores the checkpoint may have said nothing: it can be less than
        the noise alone would make.
        """
        asked = reached.union(found) - self.frozen
        fit = [
            norm.path
            for norm in self.structure.norms
            if norm.path in asked and self.fits_evaluation(norm.path)
        ]
        if fit:
            self.notes.append(
                f"{counted_names(fit, 'norm')} {verb(len(fit), 'store')} the statistics that "
                "evaluation has on the example, as after varshift.recalibrate. The severity is "
                "computed from the example, not from the checkpoint. Evaluation may be right as it "
                "is: pass data to see"
            )
        return {path: size for path, size in found.items() if path not in fit}

    def few(self, path: str) -> bool:
        """Whether batches give a norm so few values per channel that they say little on noise."""
        met = self.seen.sites.get(path)
        return met is not None and met.train.count / self.passes.rounds < FEW

    def surely(self, low: float) -> bool:
        """Whether the lower end of a severity's band exceeds what is allowed."""
        return low > self.max_severity

    def drawn(
        self,
        code: str,
        place: str,
        noises: Sequence[Noise],
        size: Size,
        message: str,
        also: Sequence[str] = (),
    ) -> Finding:
        """A finding that was sized by drawing alone, for no closed form follows its cause."""
        return Finding(
            code=code,
            place=place,
            noises=tuple(noise.name for noise in noises),
            severity=size.severity,
            low=size.low,
            high=size.high,
            shift=size.shift,
            how="measured" if self.real else "sampled",
            basis=size.basis,
            message=message,
            line=self.line(noises, place),
            also=tuple(also),
        )

    def of_statistics(
        self, code: str, place: str, off: Stale, message: str, basis: Basis | None = None
    ) -> Finding:
        """A finding without noise: statistics are `off`, by the passes or by another `basis`."""
        basis = basis or self.basis
        return Finding(
            code=code,
            place=place,
            noises=(),
            severity=off.severity,
            low=off.low,
            high=off.high,
            shift=off.shift,
            how="inverted" if basis == "checkpoint" else "measured",
            basis=basis,
            message=message,
            line=self.line((), place),
        )

    def line(self, noises: Sequence[Noise], place: str) -> Line | None:
        """Where to point: the first noise that has a line, else the class around it or the norm."""
        drawn = [noise.line for noise in noises if noise.line is not None]
        for line in drawn:
            if in_a_file(line):
                return line
        around = noises[0].path if noises else place
        return class_line(self.run.model, around) or next(iter(drawn), None)


def _largest(sizes: Mapping[str, Size]) -> float:
    """The largest severity; 1 where there is none."""
    return max((size.severity for size in sizes.values()), default=1.0)
