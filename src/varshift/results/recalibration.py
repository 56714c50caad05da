"""What `recalibrate` gives back: what it wrote where, what it left alone, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from varshift._base import Record, Undoable, plain
from varshift.results.measurement import Statistics
from varshift.theory.spread import median, quantiles

__all__ = ["Change", "Recalibration"]

SCHEMA = "varshift.recalibration/1"


@dataclass(frozen=True, eq=False, repr=False)
class Change(Record):
    """One norm site: the statistics it had and the statistics it has now.

    Attributes:
        path: module path of the norm.
        before: the statistics it had.
        after: those it has now; `after.var` is the unbiased variance over all `after.count` values,
            as torch stores it.

    >>> import torch, varshift as vs
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3)).double()
    >>> x = 3 * torch.randn(4096, 3, dtype=torch.float64) + 2
    >>> change = vs.recalibrate(model, x.split(512)).sites["1"]
    >>> round(change.ratio), round(change.moved)  # the norm had never been trained: mean 0, var 1
    (9, 2)
    >>> change.ratios[0] <= change.ratio <= change.ratios[4]
    True
    """

    path: str
    before: Statistics
    after: Statistics

    @property
    def ratio(self) -> float:
        """Median over channels of new / old `running_var`, where both are positive."""
        return median(self._ratios())

    @property
    def ratios(self) -> tuple[float, ...]:
        """The same at 5, 25, 50, 75 and 95 % of those channels."""
        return quantiles(self._ratios())

    @property
    def variances(self) -> tuple[float, float]:
        """The old and the new `running_var`, medians over channels."""
        return median(self.before.var), median(self.after.var)

    @property
    def moved(self) -> float:
        """Median over channels of |new − old| `running_mean`."""
        return median((self.after.mean - self.before.mean).abs())

    def _ratios(self) -> Tensor:
        both = (self.before.var > 0) & (self.after.var > 0)
        return (self.after.var.double() / self.before.var.double())[both]


@dataclass(frozen=True, eq=False, repr=False)
class Recalibration(Undoable):
    """Exact noise-off statistics, written in place. `undo()` puts back the old ones bit for bit.

    Attributes:
        sites: by path of each rewritten norm, its change.
        skipped: by path of each norm left alone, the reason.
        samples: how many samples were used.
        batches: in so many batches.
        notes: what else a reader must know.
        subject: the model in a few words, for reports.

    >>> import torch, varshift as vs
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3)).double()
    >>> x = 3 * torch.randn(4096, 3, dtype=torch.float64)
    >>> r = vs.recalibrate(model, x.split(512))
    >>> r.samples, r.batches, round(r.sites["1"].ratio)  # the norm had never been trained: var 1
    (4096, 8, 9)
    >>> r.undo()
    """

    COLUMNS: ClassVar[tuple[str, ...]] = ("site", "channels", "count", "var_ratio", "mean_moved")

    sites: Mapping[str, Change]
    skipped: Mapping[str, str]
    samples: int
    batches: int
    notes: tuple[str, ...] = ()
    subject: str = ""

    @property
    def furthest(self) -> Change | None:
        """The change whose variance is furthest from the old; None where none is known."""
        known = [change for change in self.sites.values() if change.ratio > 0]
        return max(known, key=lambda change: max(change.ratio, 1 / change.ratio), default=None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the buffers written, old and new values."""
        return {
            "schema": SCHEMA,
            "samples": self.samples,
            "batches": self.batches,
            "sites": {path: _change(change) for path, change in self.sites.items()},
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per rewritten norm."""
        return [
            {
                "site": path,
                "channels": len(change.after.var),
                "count": change.after.count,
                "var_ratio": change.ratio,
                "mean_moved": change.moved,
            }
            for path, change in self.sites.items()
        ]


def _change(change: Change) -> dict[str, Any]:
    return {
        name: {"mean": plain(side.mean), "var": plain(side.var), "count": side.count}
        for name, side in (("before", change.before), ("after", change.after))
    }
