"""What a `Monitor` has seen while a network trained: a record per look, plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from varshift._base import Record, Result, plain
from varshift.results.grading import Grade, grade_of

__all__ = ["Monitored", "MonitoredNorm", "Monitoring"]

SCHEMA = "varshift.monitoring/1"


@dataclass(frozen=True, eq=False, repr=False)
class MonitoredNorm(Record):
    """The shift of one norm at one look, over the last few looks.

    Errors are standard errors from how looks differ, so they hold what training has moved in the
    meantime too; NaN at the first look.

    Attributes:
        path: module path of the norm.
        delta: (C,) float64, Δ = variance with noise off ÷ variance in training, NaN where dead.
            Empty more than a hundred looks back.
        shift: median of `delta` over live channels.
        shift_se: standard error of `shift`.
        severity: median over live channels of max(Δ, 1/Δ).
        severity_se: standard error of `severity`.
        low: what the severity surely is, at 95 %: 1 where the scatter of the looks explains it all.
        looks: over how many looks.
    """

    path: str
    delta: Tensor
    shift: float
    shift_se: float
    severity: float
    severity_se: float
    low: float
    looks: int

    @property
    def grade(self) -> Grade:
        """How bad `low` is: that much is sure."""
        return grade_of(self.low)


@dataclass(frozen=True, eq=False, repr=False)
class Monitored(Record):
    """One look.

    Attributes:
        step: how many steps had been told of, this one included.
        seconds: since the first step, of this run and those it resumes.
        cost: seconds that this look took.
        norms: by path, each norm that was looked at.
    """

    step: int
    seconds: float
    cost: float
    norms: Mapping[str, MonitoredNorm]

    @property
    def worst(self) -> MonitoredNorm | None:
        """The norm of the largest severity that has one."""
        known = [norm for norm in self.norms.values() if norm.severity == norm.severity]
        return max(known, key=lambda norm: norm.severity, default=None)


@dataclass(frozen=True, eq=False, repr=False)
class Monitoring(Result):
    """All looks so far: what `Monitor.result()` gives.

    Attributes:
        history: the looks, in order; of long runs every second, fourth … of the earlier ones.
        steps: how many steps there were.
        overhead: what part of the time since the first step watching has taken.
        threshold: the severity from which the monitor warns.
        codes: by path of a norm that noise reaches, the rule of `check` that this breaks.
        behind: by path, the names of the noise sources that reach it.
        notes: what else a reader must know.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4))
    >>> monitor = vs.Monitor(model, every=1, warn=False)
    >>> for _ in range(60):
    ...     x = torch.randn(512, 4)
    ...     _ = model(x)
    ...     _ = monitor.step(x)
    >>> m = monitor.result()
    >>> m.steps, len(m.history), m.codes
    (60, 17, {'1': 'VS101'})
    >>> round(m.history[-1].norms["1"].severity, 1)  # mean 0: Δ = keep_p
    2.0
    >>> m.paths(), len(m.course("1")), m.largest("1") > 1.5
    (['1'], 17, True)
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        *("step", "seconds", "site", "shift", "shift_se", "severity", "severity_se", "low"),
        "code",
    )

    history: tuple[Monitored, ...]
    steps: int
    overhead: float
    threshold: float
    codes: Mapping[str, str] = field(default_factory=dict)
    behind: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def last(self) -> Monitored | None:
        """The last look; None before the first."""
        return self.history[-1] if self.history else None

    def course(self, path: str) -> list[tuple[int, MonitoredNorm]]:
        """Of one norm, the step and the figures of each look at it."""
        return [(look.step, look.norms[path]) for look in self.history if path in look.norms]

    def largest(self, path: str) -> float | None:
        """The largest severity of a norm that was surely above `threshold`; None without any."""
        met = (norm for _, norm in self.course(path))
        return max((norm.severity for norm in met if norm.low > self.threshold), default=None)

    def paths(self) -> list[str]:
        """Every norm that was looked at, the largest severity at its last look first."""
        last = {path: norm.severity for look in self.history for path, norm in look.norms.items()}
        return sorted(last, key=lambda path: -last[path] if last[path] == last[path] else 0.0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "schema": SCHEMA,
            "steps": self.steps,
            "overhead": plain(self.overhead),
            "threshold": self.threshold,
            "codes": dict(self.codes),
            "behind": {path: list(names) for path, names in self.behind.items()},
            "history": [_record(record) for record in self.history],
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per look and norm."""
        return [
            {
                "step": record.step,
                "seconds": record.seconds,
                "site": path,
                "shift": norm.shift,
                "shift_se": norm.shift_se,
                "severity": norm.severity,
                "severity_se": norm.severity_se,
                "low": norm.low,
                "code": self.codes.get(path, ""),
            }
            for record in self.history
            for path, norm in record.norms.items()
        ]


def _record(record: Monitored) -> dict[str, Any]:
    figures = ("delta", "shift", "shift_se", "severity", "severity_se", "low", "looks")
    return {
        "step": record.step,
        "seconds": plain(record.seconds),
        "cost": plain(record.cost),
        "norms": {
            path: {name: plain(getattr(norm, name)) for name in figures}
            for path, norm in record.norms.items()
        },
    }
