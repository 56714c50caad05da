"""What `measure` gives back: stored, train and test moments per site, and the shift they make."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from varshift._base import Record, Result, plain
from varshift.errors import UsageError, listed
from varshift.results.channels import PerChannel
from varshift.results.grading import Grade, grade_of
from varshift.results.structure import Structure
from varshift.theory.spread import median

__all__ = ["Measurement", "Site", "Statistics"]

SCHEMA = "varshift.measurement/1"

_NORMAL = 1.96  # standard errors that hold 95 in 100


@dataclass(frozen=True, eq=False, repr=False)
class Statistics(Record):
    """Per-channel moments of a norm site's input.

    Attributes:
        mean: (C,) float64.
        var: (C,) float64, unbiased, over all values seen; for `stored` the `running_var` itself.
        count: values per channel; for `stored` the batches it has tracked (0 if not counted).
        within: (C,) float64, the mean over batches of each batch's own unbiased variance, weighted
            by its count: the estimator that `running_var` averages. None for `stored`.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4)).double()
    >>> data = [torch.randn(512, 4, dtype=torch.float64) for _ in range(16)]
    >>> m = vs.measure(model, data)
    >>> train, test = m["1"].train, m["1"].test
    >>> train.count, test.var.round().tolist(), train.var.round().tolist()  # var_test is half
    (8192, [1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0])
    """

    mean: Tensor
    var: Tensor
    count: int
    within: Tensor | None = None

    @property
    def untouched(self) -> bool:
        """Whether it is mean 0 and variance 1, as a norm is made."""
        return bool((self.mean == 0).all() and (self.var == 1).all())


@dataclass(frozen=True, eq=False, repr=False)
class Site(PerChannel):
    """One norm site: three pairs of moments, and the shift between them.

    Channels are (C,) float64 tensors. `*_se` are standard errors: a figure ± 1.96 of them holds
    what the population has in 95 of 100 measurements (docs/measure.md has the counts). They come
    from halves of the samples, and are NaN where fewer than two groups of samples were seen.

    Attributes:
        path: module path of the norm.
        stored: what it will use at test: `running_mean` and `running_var`.
        train: moments of its input with noise on.
        test: moments of its input with noise off.
        delta: Δ = test.var / train.var per channel, NaN where dead.
        delta_se: standard error of `delta`.
        shift: median of `delta` over live channels: the layer's signed figure.
        shift_se: standard error of `shift`.
        severity: median over live channels of max(Δ, 1/Δ).
        severity_se: standard error of `severity`.
        paper: the paper's figure: max(r, 1/r) for r = mean(test.within) / mean(stored.var), with
            `test.within` the average of unbiased batch variances in evaluation mode.
        paper_se: standard error of `paper`.
        live: (C,) bool; a dead channel has no variance beyond rounding in either mode.
        samples: how many samples passed in each mode.
        by_batch: evaluation normalises by its batch too there, so that nothing stored is read, and
            the shift of its input does not change its output.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4)).double()
    >>> data = [torch.randn(512, 4, dtype=torch.float64) for _ in range(16)]
    >>> m = vs.measure(model, data)
    >>> site = m["1"]
    >>> round(site.shift, 1), round(site.severity, 1), site.dead  # mean 0: Δ = keep_p
    (0.5, 2.0, ())
    >>> 0 < site.shift_se < 0.02
    True
    """

    path: str
    stored: Statistics
    train: Statistics
    test: Statistics
    delta: Tensor
    delta_se: Tensor
    shift: float
    shift_se: float
    severity: float
    severity_se: float
    paper: float
    paper_se: float
    live: Tensor
    samples: int
    by_batch: bool = False

    @property
    def dead(self) -> tuple[int, ...]:
        """Indices of the dead channels."""
        return tuple(torch.nonzero(~self.live).flatten().tolist())

    @property
    def delta_interval(self) -> tuple[Tensor, Tensor]:
        """Ends of the 95 % intervals of `delta`, (C,) each: as many times less as more."""
        factor = 1 + _NORMAL * self.delta_se / self.delta
        still = self.delta == 0
        low, high = self.delta / factor, self.delta * factor
        return torch.where(still, 0.0, low), torch.where(still, 0.0, high)

    @property
    def shift_interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval of `shift`, never below 0; NaN where its error is not known.

        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4))
        >>> site = vs.measure(model, [torch.randn(64, 4) for _ in range(4)])["1"]
        >>> low, high = site.shift_interval
        >>> low < site.shift < high, round(low * high / site.shift**2, 6)
        (True, 1.0)
        """
        return _interval(self.shift, self.shift_se)

    @property
    def severity_interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval of `severity`, never below 1."""
        low, high = _interval(self.severity, self.severity_se)
        return max(low, 1.0) if low == low else low, high

    @cached_property
    def variances(self) -> dict[str, float]:
        """The variance stored, in training and at test: medians over live channels."""
        sides = {"stored": self.stored, "train": self.train, "test": self.test}
        return {name: median(side.var, self.live) for name, side in sides.items()}

    @property
    def sure(self) -> float:
        """The severity less two standard errors; 0 where nothing stored is read, or not known."""
        error = self.severity_se if self.severity_se == self.severity_se else 0.0
        sure = self.severity - 2 * error
        return sure if sure == sure and not self.by_batch else 0.0

    @property
    def grade(self) -> Grade:
        """How bad the shift surely is."""
        return grade_of(self.sure)


@dataclass(frozen=True, eq=False, repr=False)
class Measurement(Result):
    """The shift at every norm site of a model, over the same batches with noise on and off.

    Attributes:
        sites: by path, every norm site that was measured; `m[path]` is short for `m.sites[path]`.
        structure: what `inspect` saw on the first batch.
        samples: how many samples passed in each mode.
        batches: in so many batches.
        skipped: by path of a norm that could not be measured, the reason.
        notes: what else a reader must know.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4)).double()
    >>> data = [torch.randn(512, 4, dtype=torch.float64) for _ in range(16)]
    >>> m = vs.measure(model, data)
    >>> list(m.sites), m.samples, m.batches, dict(m.skipped)
    (['1'], 8192, 16, {})
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "site",
        "channels",
        "dead",
        "shift",
        "shift_se",
        "severity",
        "severity_se",
        "paper",
        "paper_se",
        "noises",
    )

    sites: Mapping[str, Site]
    structure: Structure
    samples: int
    batches: int
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __getitem__(self, path: str) -> Site:
        if path not in self.sites:
            raise UsageError(f"no norm site {path!r} was measured; there are {listed(self.sites)}")
        return self.sites[path]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the structure's `noises`, `norms` and `routes` beside `sites`."""
        return self.structure.to_dict() | {
            "schema": SCHEMA,
            "samples": self.samples,
            "batches": self.batches,
            "sites": {path: _site(site) for path, site in self.sites.items()},
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per site: its figures, their standard errors, and the noise directly behind."""
        return [
            {
                "site": path,
                "channels": len(site.delta),
                "dead": len(site.dead),
                "shift": site.shift,
                "shift_se": site.shift_se,
                "severity": site.severity,
                "severity_se": site.severity_se,
                "paper": site.paper,
                "paper_se": site.paper_se,
                "noises": [route.noise for route in self.structure.behind(path)],
            }
            for path, site in self.sites.items()
        ]


def _interval(value: float, error: float) -> tuple[float, float]:
    if value == 0 or not math.isfinite(error):
        return (value, value) if error == 0 else (math.nan, math.nan)
    factor = 1 + _NORMAL * error / value
    return value / factor, value * factor


def _site(site: Site) -> dict[str, Any]:
    whole = {name: getattr(site, name) for name in ("stored", "train", "test")}
    figures = {
        name: plain(getattr(site, name))
        for name in (
            *("delta", "delta_se", "shift", "shift_se", "severity", "severity_se"),
            *("paper", "paper_se", "samples"),
        )
    }
    return figures | {
        "dead": list(site.dead),
        "by_batch": site.by_batch,
        **{name: _statistics(statistics) for name, statistics in whole.items()},
    }


def _statistics(statistics: Statistics) -> dict[str, Any]:
    return {
        "mean": plain(statistics.mean),
        "var": plain(statistics.var),
        "within": plain(statistics.within),
        "count": statistics.count,
    }
