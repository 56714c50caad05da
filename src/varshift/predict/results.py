"""What `predict` gives back: the shift that theory expects at every site, and inverse questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from varshift.errors import UsageError, listed
from varshift.predict.expected import Expected
from varshift.predict.widths import min_width, widened
from varshift.results import Result, plain
from varshift.structure import Structure
from varshift.theory.noise import drop_p_of

__all__ = ["Prediction"]

SCHEMA = "varshift.prediction/1"


@dataclass(frozen=True, eq=False)
class Prediction(Result):
    """The shift at every norm site under the noise asked for, with the weights as they are.

    The weights are held fixed: training under other noise would move them too. `asked` is the
    noise by source as predicted (τ), `skipped` maps sites to the reason why they have no figure.
    """

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
        noise follows no closed form are left out.
        """
        if not max_severity > 1:
            raise UsageError(f"max_severity is {max_severity}; pass a number above 1")
        found = {
            path: drop_p_of(site.largest_tau(max_severity))
            for path, site in self.sites.items()
            if site.energies
        }
        return found | ({"": min(found.values())} if found else {})

    def min_width(self, shift: float = 0.95) -> dict[str, float]:
        """How many times as wide each site's layer must be for a Δ of at least `shift`, by site.

        By the direct noise alone, as in the paper: cos²θ of the filters and the inputs' means,
        variances and correlation stay what they are. Infinite where width does not help (placement
        (a), filters that gain nothing). Needs a prediction with data.
        """
        return {path: min_width(site, shift) for path, site in self.sites.items() if site.floors}

    def wider(self, times: float) -> Prediction:
        """The same for layers that many times as wide; only placement (b) changes."""
        if not times > 0:
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
