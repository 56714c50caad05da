"""Sections that several results have in common: routes, noise sources, the calculator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from varshift._draw.figures import drop, shortened, through
from varshift._draw.page.parts import (
    Body,
    Cell,
    Column,
    Missing,
    Table,
    WhatIf,
    counted,
    name_cell,
    number_cell,
)
from varshift._draw.page.pictures import route_diagram
from varshift.results import Route, Structure

__all__ = [
    *("EXPLAIN", "MEASURE", "REPAIR", "add_routes", "add_what_if", "direct_routes", "median"),
    *("middle_channel", "preset", "sources"),
]

MEASURE = Missing(
    "the variance in training and at test, norm by norm and channel by channel",
    "vs.measure(model, data).to_html(path)",
)
EXPLAIN = Missing(
    "whose fault it is: noise × staleness × data, and the share of each noise source",
    "vs.explain(model, data, test_data=…).to_html(path)",
)
REPAIR = Missing(
    "what a repair would change, before and after, judged on held-out samples",
    "vs.repair(model, data).to_html(path)",
)


def add_routes(
    body: Body,
    structure: Structure,
    severity: Mapping[str, float],
    rates: Mapping[str, str] | None = None,
) -> None:
    """The diagram, every route as a row, every noise source as a row."""
    drawn = route_diagram(structure, severity, rates)
    body.add(
        "routes",
        "From noise to norm",
        "Each line is a path of the data from an operation that draws at random in training to a "
        "norm whose statistics remember it, with no other norm between."
        if drawn
        else "No noise source reaches a norm without another norm between.",
        [*([drawn] if drawn else []), *_routes(structure)],
    )
    body.add(
        "noises",
        "Noise sources",
        "Found by what they do in one training pass, whatever their class. A silent one was there "
        "and did not draw.",
        _noises(structure),
    )


def add_what_if(
    body: Body, presets: Iterable[Mapping[str, Any]] = (), known: str = "measured"
) -> None:
    """The calculator."""
    body.add(
        "what-if",
        "What if?",
        "Move a figure and see Δ move: the laws of one layer, exact for the numbers you set. What "
        "noise does through earlier norms is left out, and a network trained under other noise "
        "would have other weights too.",
        [WhatIf(list(presets), known)],
    )


def preset(site: str, mean: float, var: float, tau: float, delta: float) -> dict[str, Any] | None:
    """Where the calculator can start from: one channel of a norm right behind noise.

    `delta` is that channel's own shift, which holds what comes through earlier norms too.
    """
    usable = var > 0 and 0 < tau < 1e6 and mean == mean
    exact = {"drop_p": tau / (1 + tau), "mean": mean, "var": var, "known": delta}
    numbers = {name: float(f"{value:.5g}") for name, value in exact.items()}
    return {"label": shortened(site, 60), **numbers} if usable else None


def middle_channel(delta: Tensor) -> int | None:
    """The channel whose Δ is the median; None where none is known."""
    known = torch.nonzero(delta.isfinite()).flatten()
    if not len(known):
        return None
    order = delta[known].argsort()
    return int(known[order[(len(known) - 1) // 2]])


def median(values: Tensor, live: Tensor | None = None) -> float:
    """Median over live channels, NaN where there are none."""
    kept = values.double() if live is None else values.double()[live]
    return float(torch.nanquantile(kept, 0.5)) if len(kept) else float("nan")


def direct_routes(structure: Structure) -> dict[str, list[Route]]:
    """By norm the routes of `structure.behind(norm)`, in one go: there can be 20,000 of them."""
    found: dict[str, list[Route]] = {norm.path: [] for norm in structure.norms}
    for route in structure.direct():
        found.setdefault(route.norm, []).append(route)
    return found


def sources(structure: Structure, path: str) -> str:
    """The noise sources directly behind a norm, with their lines of code."""
    said = []
    for route in structure.behind(path)[:3]:
        noise = structure.noise(route.noise)
        line = f", {shortened(noise.line.near, 60)}" if noise.line is not None else ""
        said.append(f"{shortened(noise.name, 60)} ({drop(noise)}{line})")
    return "; ".join(said)


def _routes(structure: Structure) -> list[Table]:
    columns = [
        Column("noise source", numeric=False),
        Column("norm", numeric=False),
        Column("placement", "of the most direct path: (a), (b) or through another norm", False),
        Column("through", "the layers on that path", False),
    ]
    rows = (
        [
            name_cell(route.noise),
            name_cell(route.norm),
            Cell(route.placement, route.placement),
            name_cell(through(route)),
        ]
        for route in sorted(structure.routes, key=lambda route: not route.direct)
    )
    count = len(structure.routes)
    return [Table.of_many("route", columns, rows, count)] if count else []


def _noises(structure: Structure) -> list[Table]:
    rows = [
        [
            name_cell(noise.name),
            name_cell(noise.operation),
            number_cell(noise.drop_p),
            number_cell(noise.tau),
            Cell(noise.sharing, noise.sharing),
            Cell("yes" if noise.active else "silent", str(noise.active)),
            name_cell("—" if noise.line is None else noise.line.near),
        ]
        for noise in structure.noises
    ]
    columns = [
        Column("source", "path of the module that drew", False),
        Column("operation", numeric=False),
        Column("drop_p", "chance of a zero, torch's p"),
        Column("τ", "relative variance of the noise"),
        Column("one draw per", "what shares one random number", False),
        Column("drew", numeric=False),
        Column("line", "of your code", False),
    ]
    return [Table(counted(len(rows), "noise source"), columns, rows)] if rows else []
