"""One network read with `vs.footprint`, beside the truth."""

from __future__ import annotations

from dataclasses import dataclass

import varshift as vs
from benchmarks.shipped.mixture import batches
from benchmarks.shipped.network import Network, Truth
from varshift.results.footprint import Footprint, FootprintSite


@dataclass(frozen=True)
class Row:
    """One norm of the table."""

    network: str
    norm: str
    true: float
    true_place: str
    read: float | None = None
    low: float = 0.0
    high: float = 0.0
    claimed: bool = False
    place: str = ""
    verdict: str = ""


def read(network: Network) -> tuple[list[Row], Footprint]:
    """All norms, in the order of the data; nothing but the momentum is told."""
    net = network.load()
    data = batches(net, network.fitted, network.groups(), network.batches)
    found = vs.footprint(net, data, data="similar", momentum=network.momentum)
    return [_row(network.name, found, norm, true) for norm, true in network.truths.items()], found


def _row(network: str, found: Footprint, norm: str, true: Truth) -> Row:
    site = found.sites.get(norm)
    if site is None:
        reason = found.skipped.get(norm, "no place before it")
        return Row(network, norm, true.drop_p, true.place, verdict=f"not judged: {reason}")
    return Row(
        network,
        norm,
        true.drop_p,
        true.place,
        site.drop_p,
        site.low,
        site.high,
        site.claimed,
        site.place,
        verdict(site, true),
    )


def verdict(site: FootprintSite, true: Truth) -> str:
    """What the reading is worth, in a word or two."""
    holds = site.low <= true.drop_p <= site.high
    if true.drop_p == 0:
        if site.claimed:
            return "wrong: it never had any"
        return "clean" if holds else "missed, not claimed"
    if site.claimed and holds:
        return "read" if site.place == true.place else "read, at another place"
    if site.claimed:
        return "noise found, its rate missed"
    return "cannot decide" if holds else "missed, not claimed"
