"""What `predict` gives back: the shift that theory expects at every site, and inverse questions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from varshift._base import Result, plain
from varshift.errors import UsageError, listed
from varshift.results.expected import Expected
from varshift.results.structure import Structure
from varshift.results.widths import min_width, widened
from varshift.theory.noise import drop_p_of

__all__ = ["Prediction"]

SCHEMA = "varshift.prediction/1"


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Result):
    """The shift at every norm site under the noise asked for, with the weights as they are.

    The weights are held fixed: training under other noise would move them too.

    Attributes:
        sites: by path, what is expected there; `f[path]` is short for `f.sites[path]`.
        structure: what `inspect` saw on the first batch, or on the example.
        asked: the noise by source as predicted, τ.
        samples: how many samples it was made from; 0 without data.
        skipped: by path of a site without a figure, the reason.
        notes: what else a reader must know.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4)).double()
    >>> data = [torch.randn(512, 4, dtype=torch.float64) for _ in range(8)]
    >>> f = vs.predict(model, data, noise={"0": 0.2})
    >>> f.asked, round(f["1"].shift, 2)  # mean 0: Δ = keep_p
    ({'0': 0.25}, 0.8)
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "site",
        "shift",
        "low",
        "high",
        "severity",
        "how",
        "noises",
    )

    sites: Mapping[str, Expected]
    structure: Structure
    asked: Mapping[str, float]
    samples: int
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __getitem__(self, path: str) -> Expected:
        if path not in self.sites:
            raise UsageError(f"no figure for a norm site {path!r}; there are {listed(self.sites)}")
        return self.sites[path]

    def max_drop_p(self, max_severity: float = 1.1) -> dict[str, float]:
        """The largest drop_p that keeps a site's severity under a bound, by site, and "" for all.

        All sources that reach a site directly are given the same drop_p; what they do through other
        norms is not counted (ask `predict(noise=…)` with the answer to see it). Sites where the
        noise follows no closed form, or where nothing arrived, are left out.

        Raises:
            UsageError: a `max_severity` of 1 or less.

        >>> import torch, varshift as vs
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4)).double()
        >>> data = [torch.randn(512, 4, dtype=torch.float64) for _ in range(8)]
        >>> found = vs.predict(model, data).max_drop_p(1.25)
        >>> {path: round(drop_p, 2) for path, drop_p in found.items()}  # 1 − 1/1.25, mean 0
        {'1': 0.2, '': 0.2}
        """
        if not 1 < max_severity < math.inf:
            raise UsageError(f"max_severity is {max_severity}; pass a finite number above 1")
        found = {
            path: drop_p_of(site.largest_tau(max_severity))
            for path, site in self.sites.items()
            if site.energies and bool((site.signal > 0).any())
        }
        return found | ({"": min(found.values())} if found else {})

    def min_width(self, shift: float = 0.95) -> dict[str, float]:
        """How many times as wide each site's layer must be for a Δ of at least `shift`, by site.

        By the direct noise alone, as in the paper: cos²θ of the filters and the inputs' means,
        variances and correlation stay what they are. Infinite where width does not help (placement
        (a), filters that gain nothing). Needs a prediction with data.

        Raises:
            UsageError: a `shift` outside (0, 1).

        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> layer = torch.nn.Linear(16, 8)
        >>> _ = torch.nn.init.ones_(layer.weight)  # filters that add up inputs alike
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), layer, torch.nn.BatchNorm1d(8))
        >>> data = [torch.randn(512, 1) + torch.randn(512, 16) for _ in range(8)]
        >>> f = vs.predict(model, data)
        >>> times = f.min_width(0.95)["2"]
        >>> 2 < times < 3, round(f.wider(times)["2"].shift, 2)
        (True, 0.95)
        """
        return {path: min_width(site, shift) for path, site in self.sites.items() if site.floors}

    def wider(self, times: float) -> Prediction:
        """The same for layers that many times as wide; only placement (b) changes.

        Raises:
            UsageError: `times` is not above 0.

        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> layer = torch.nn.Linear(16, 8)
        >>> _ = torch.nn.init.ones_(layer.weight)  # filters that add up inputs alike
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), layer, torch.nn.BatchNorm1d(8))
        >>> data = [torch.randn(512, 1) + torch.randn(512, 16) for _ in range(8)]
        >>> f = vs.predict(model, data)
        >>> f["2"].shift < f.wider(2)["2"].shift < f.wider(4)["2"].shift
        True
        """
        if not 0 < times < math.inf:
            raise UsageError(f"width is {times}; pass a factor above 0, such as 2")
        sites = {path: widened(site, times) for path, site in self.sites.items()}
        note = (
            f"width × {times:g}: the filters' cos²θ, the inputs' means, variances and correlation "
            "are taken to stay as they are; only what noise does through weights changes"
        )
        return replace(self, sites=sites, notes=(*self.notes, note))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the structure's parts beside `sites`."""
        return self.structure.to_dict() | {
            "schema": SCHEMA,
            "weights": "held fixed",
            "asked": plain(self.asked),
            "samples": self.samples,
            "sites": {path: _site(site) for path, site in self.sites.items()},
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per site: Δ with its band, severity, how it was had, the sources behind it."""
        return [
            {
                "site": path,
                "shift": site.shift,
                "low": site.low,
                "high": site.high,
                "severity": site.severity,
                "how": site.how,
                "noises": list(site.energies),
            }
            for path, site in self.sites.items()
        ]


def _site(site: Expected) -> dict[str, Any]:
    names = ("shift", "low", "high", "severity", "how", "delta", "var_test", "var_train", "samples")
    return {name: plain(getattr(site, name)) for name in names} | {
        "energies": plain(site.energies),
        "taus": plain(site.taus),
    }
