"""One network read with `vs.footprint`, beside the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

import varshift as vs
from benchmarks.shipped.mixture import batches
from benchmarks.shipped.network import Network, Truth
from varshift.results.footprint import Footprint, FootprintSite


@dataclass(frozen=True)
class Row:
    """One norm of the table; `trained` is the reading as if the audio were the training data."""

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
    trained: float | None = None
    trained_claimed: bool = False
    trained_place: str = ""
    tau: float = 0.0
    lever: tuple[float, ...] = ()
    excess: tuple[float, ...] = ()


def read(network: Network) -> tuple[list[Row], Footprint]:
    """All norms, in the order of the data."""
    net = network.load()
    data = batches(net, network.fitted, network.groups(), network.batches, network.size)
    places = None if network.everywhere else weighted(net)
    momentum = network.momentum
    found = vs.footprint(net, data, data="similar", momentum=momentum, places=places)
    rows = [_row(network.name, found, norm, true) for norm, true in network.truths.items()]
    trained = vs.footprint(net, data, momentum=momentum, places=places)
    return [_with(row, trained) for row in rows], found


def weighted(net: nn.Module) -> list[str]:
    """Modules with weights that feed a norm."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    return [path for path, module in net.named_modules() if isinstance(module, kinds)][:-1]


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
        tau=site.tau,
        lever=tuple(round(each, 5) for each in site.lever),
        excess=tuple(round(each, 5) for each in site.excess),
    )


def _with(row: Row, trained: Footprint) -> Row:
    site = trained.sites.get(row.norm)
    if site is None:
        return row
    return replace(row, trained=site.drop_p, trained_claimed=site.claimed, trained_place=site.place)


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
