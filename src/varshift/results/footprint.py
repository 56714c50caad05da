"""What `footprint` gives back: per norm site the noise its stored variances remember."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal

from varshift._base import Result, plain
from varshift.errors import UsageError, listed
from varshift.results.grading import Grade, grade_of

__all__ = ["POOR_FIT", "Footprint", "FootprintSite", "Instead"]

SCHEMA = "varshift.footprint/1"
POOR_FIT = 4.0
"""The misfit above which no single noise explains what a norm stores (docs/footprint.md)."""

_NO_COLUMNS = ("path", "lever", "excess")


@dataclass(frozen=True)
class Instead:
    """Another place that explains a norm's channels as well, and the drop_p it would have had.

    >>> from varshift.results import Instead
    >>> Instead("conv2", "channel", drop_p=0.2, low=0.1, high=0.3).place
    'conv2'
    """

    place: str
    noise: Literal["element", "channel"]
    drop_p: float
    low: float
    high: float


@dataclass(frozen=True)
class FootprintSite:
    """The noise one norm site remembers, under the hypothesis that it stood at `place`.

    Attributes:
        path: the norm site, the first that meets this noise.
        place: where noise is taken to have stood: the input of this module.
        placement: "a" no weights between place and norm, "b" weights between them.
        noise: "element", a mask value for each number (Dropout), or "channel", one for each map
            (Dropout2d). Straight before a norm both do the same, and are called "element".
        drop_p: τ/(1 + τ) of the estimate; negative where the stored variance is the smaller one.
        low: lower end of the confidence interval of `drop_p`.
        high: upper end of it.
        level: how often such an interval holds the true value.
        tau: relative variance of the noise, not clamped.
        tau_se: its standard error.
        added: what the noise adds to the variance, relative to the noise-free one: τ·N/v, the
            median over channels.
        p_value: how often a net without noise would show this much or more.
        claimed: whether this is taken for noise; `Footprint` states the rule.
        misfit: scatter of the channels about one common τ, over what batches of this size explain,
            in variances. 1 is a perfect fit; much more says that the weights still moved, that the
            training batches were smaller, or that the noise stood elsewhere.
        channels: channels of the norm.
        used: those of them the estimate rests on.
        alike: paths of modules at whose inputs noise does just the same.
        instead: places that explain the channels as well, each with the drop_p it would have had:
            from this norm alone nobody can tell which it was.
        coded: drop_p of the dropout module that the model still has there; None where it has none.
        lever: of each used channel, what a unit of τ adds to the noise-free variance, N/v.
        excess: of each, by how much more is stored than noise-free and other noises explain, of the
            noise-free variance. Noise of τ makes it τ·N/v: a line through the origin.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> norm = torch.nn.BatchNorm1d(8, momentum=None)
    >>> data = [torch.randn(64, 8) + 1 for _ in range(60)]
    >>> _ = [norm(torch.nn.functional.dropout(batch, 0.5)) for batch in data]
    >>> f = vs.footprint(torch.nn.Sequential(norm), data, places=["0"])
    >>> site = f["0"]
    >>> site.placement, site.low < 0.5 < site.high, site.claimed, site.grade
    ('a', True, True, 'severe')
    >>> site.tau_interval[0] < 1.0 < site.tau_interval[1]
    True
    """

    path: str
    place: str
    placement: Literal["a", "b"]
    noise: Literal["element", "channel"]
    drop_p: float
    low: float
    high: float
    level: float
    tau: float
    tau_se: float
    added: float
    p_value: float
    claimed: bool
    misfit: float
    channels: int
    used: int
    alike: tuple[str, ...] = ()
    instead: tuple[Instead, ...] = ()
    coded: float | None = None
    lever: tuple[float, ...] = ()
    excess: tuple[float, ...] = ()

    @property
    def tau_interval(self) -> tuple[float, float]:
        """Ends of the interval of `tau`, from those of `drop_p`; NaN where one has no end."""
        return _tau(self.low), _tau(self.high)

    @property
    def grade(self) -> Grade:
        """How much of a shift the claimed noise makes at this norm: severity 1 + `added`.

        "none" where no noise is claimed.
        """
        if not self.claimed:
            return "none"
        return grade_of(1 + self.added, abs(self.added * self.tau_se / self.tau))


@dataclass(frozen=True, repr=False)
class Footprint(Result):
    """The noise a checkpoint remembers, site by site.

    A site claims noise where three things hold: its interval lies above 0; the noise is not
    negligible (`drop_p` at least 0.02, and at least 3 % of variance `added`, since weights that
    still move at the end of training often do 2 %); and its `p_value` is below 0.01 by
    Holm's rule over all places tried, so that at most one in a hundred without
    noise claims any, if its weights had come to rest.

    Attributes:
        sites: by path, what each norm remembers; `f[path]` is short for `f.sites[path]`. Of a norm
            that remembers two noises this is the one that adds most.
        further: the other noises of such norms.
        skipped: by path of a norm that could not be judged, the reason.
        notes: what else a reader must know.
        samples: how many samples were passed.
        batches: in so many batches.
        passes: how often the data went through before all sites settled.
        subject: the model in a few words, for reports.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> norm = torch.nn.BatchNorm1d(8, momentum=None)
    >>> data = [torch.randn(64, 8) + 1 for _ in range(60)]
    >>> _ = [norm(torch.nn.functional.dropout(batch, 0.5)) for batch in data]
    >>> f = vs.footprint(torch.nn.Sequential(norm), data, places=["0"])
    >>> f.claimed, f.samples, f.batches  # no dropout is left in the code
    (('0',), 3840, 60)
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "site",
        *(each.name for each in fields(FootprintSite) if each.name not in _NO_COLUMNS),
    )

    sites: Mapping[str, FootprintSite]
    skipped: Mapping[str, str]
    notes: tuple[str, ...]
    samples: int
    batches: int
    passes: int
    subject: str = ""
    further: tuple[FootprintSite, ...] = ()

    def __getitem__(self, path: str) -> FootprintSite:
        if path not in self.sites:
            reason = f" ({self.skipped[path]})" if path in self.skipped else ""
            raise UsageError(
                f"no norm site {path!r} was judged{reason}; there are {listed(self.sites)}"
            )
        return self.sites[path]

    @property
    def places(self) -> dict[str, FootprintSite]:
        """By the place where noise is taken to have stood, what was read there."""
        return {record.place: record for record in self.records()}

    @property
    def claimed(self) -> tuple[str, ...]:
        """Paths of the sites that claim noise."""
        records = self.records()
        return tuple(dict.fromkeys(record.path for record in records if record.claimed))

    @property
    def claims(self) -> list[FootprintSite]:
        """The noises that are claimed, that of the largest `drop_p` first."""
        claimed = [record for record in self.records() if record.claimed]
        return sorted(claimed, key=lambda record: -record.drop_p)

    @property
    def misfits(self) -> tuple[FootprintSite, ...]:
        """The sites that no single noise explains: `misfit` above `POOR_FIT`, the worst first."""
        poor = [site for site in self.sites.values() if site.misfit > POOR_FIT]
        return tuple(sorted(poor, key=lambda site: -site.misfit))

    def records(self) -> list[FootprintSite]:
        """All that was read, in the order data reaches the norms."""
        return [
            record
            for path, site in self.sites.items()
            for record in (site, *(each for each in self.further if each.path == path))
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, top level `schema`, `sites`, `skipped`, `notes` and counts."""
        return {
            "schema": SCHEMA,
            "samples": self.samples,
            "batches": self.batches,
            "passes": self.passes,
            "sites": {path: plain(asdict(site)) for path, site in self.sites.items()},
            "further": [plain(asdict(site)) for site in self.further],
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per noise, in the order data reaches the norms."""
        return [{"site": record.path} | _figures(record) for record in self.records()]


def _tau(drop_p: float) -> float:
    return drop_p / (1 - drop_p) if math.isfinite(drop_p) and drop_p < 1 else math.nan


def _figures(site: FootprintSite) -> dict[str, Any]:
    """Its columns, each a plain value: names of places in one text."""
    told = asdict(site) | {
        "alike": ", ".join(site.alike),
        "instead": ", ".join(f"{each.place} ({each.drop_p:.3f})" for each in site.instead),
    }
    return {name: value for name, value in told.items() if name not in _NO_COLUMNS}
