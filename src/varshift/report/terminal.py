"""Tables that read well at 80 columns."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from varshift.measure import Measurement, Site
from varshift.repair import Recalibration
from varshift.report.figures import behind, drop, measured, place, shortened, through
from varshift.structure import Structure

__all__ = ["table"]

_MOST = 25  # rows of one table; a result's to_dict() has all of them


@singledispatch
def table(result: Any) -> RenderableType:
    """A renderable of the whole result, what could not be seen included."""
    raise TypeError(f"nothing is drawn for a {type(result).__name__}")


@table.register
def _structure(result: Structure) -> RenderableType:
    active = [noise for noise in result.noises if noise.active]
    silent = len(result.noises) - len(active)
    noises = _columns(
        "Noise sources that draw in training", "source", "operation", "drop", "shared by", "line"
    )
    for noise in active[:_MOST]:
        noises.add_row(
            *map(escape, (shortened(noise.name, 24), noise.operation, drop(noise))),
            noise.sharing,
            escape(place(noise, 22)),
        )
    routes = _columns("Norms that noise reaches directly", "norm", "behind it", "through")
    first = {route.norm: route for route in reversed(result.direct())}
    for path, route in sorted(first.items(), key=lambda item: _position(result, item[0]))[:_MOST]:
        names = (shortened(path, 26), behind(result, path, 34))
        routes.add_row(*map(escape, names), escape(through(route)))
    hit = {route.norm for route in result.direct()}
    lines = [
        f"{len(active)} active and {silent} silent noise sources, {len(result.norms)} norms, "
        f"{len(hit)} of them reached directly by noise."
    ]
    parts: list[RenderableType] = []
    if active:
        parts += [noises, *_more(len(active))]
    if hit:
        parts += [routes, *_more(len(hit))]
        lines.append(
            "(a): nothing with weights between the noise and the norm. (b): a linear or "
            "convolution layer between."
        )
    return _group(parts, lines, result.notes)


@table.register
def _measurement(result: Measurement) -> RenderableType:
    worst = sorted(result.sites.values(), key=lambda site: -_rank(site))[:_MOST]
    chosen = {site.path for site in worst}
    sites = _columns(
        f"Shift of the variance over {result.samples} samples in {result.batches} batches",
        "norm",
        "Δ test/train",
        "severity",
        "paper's",
        "noise behind",
    )
    for path, site in result.sites.items():
        if path in chosen:
            sites.add_row(
                escape(shortened(path, 18)),
                measured(site.shift, site.shift_se),
                measured(site.severity, site.severity_se, 2),
                measured(site.paper, site.paper_se, 2),
                escape(behind(result.structure, path, 20)),
                style="bold" if _rank(site) > 1.1 else "",
            )
    lines = [
        "Δ: variance at test ÷ variance in training, median over channels (below 1: the norm "
        "divides by too much). Severity: Δ or 1/Δ, whichever is larger; bold above 1.1 by more "
        "than two standard errors. Paper's: ratio of channel means against the stored variance. "
        "± one standard error."
    ]
    dead = {path: site.dead for path, site in result.sites.items() if site.dead}
    notes = [f"{path}: {len(channels)} dead channels left out" for path, channels in dead.items()]
    notes += [f"{path}: not measured, {reason}" for path, reason in result.skipped.items()]
    return _group([sites, *_more(len(result.sites))], lines, [*notes, *result.notes])


@table.register
def _recalibration(result: Recalibration) -> RenderableType:
    sites = _columns(
        f"Statistics rewritten from {result.samples} samples in {result.batches} batches",
        "norm",
        "channels",
        "values per channel",
        "new ÷ old variance",
    )
    for path, change in list(result.sites.items())[:_MOST]:
        sites.add_row(
            escape(shortened(path, 36)),
            str(len(change.after.var)),
            str(change.after.count),
            f"{change.ratio:.3f}",
        )
    notes = [f"{path}: left alone, {reason}" for path, reason in result.skipped.items()]
    lines = ["New ÷ old variance: median over channels. undo() restores the old ones bit for bit."]
    return _group([sites, *_more(len(result.sites))], lines, [*notes, *result.notes])


def _position(result: Structure, path: str) -> int:
    return [norm.path for norm in result.norms].index(path)


def _rank(site: Site) -> float:
    """Severity less two standard errors, NaN last."""
    error = site.severity_se if site.severity_se == site.severity_se else 0.0
    rank = site.severity - 2 * error
    return rank if rank == rank else 0.0


def _columns(title: str, *headings: str) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in headings:
        made.add_column(heading, header_style="dim", overflow="fold")
    return made


def _more(count: int) -> list[RenderableType]:
    return [Text(f"… and {count - _MOST} more (JSON has all)", style="dim")] * (count > _MOST)


def _group(
    parts: Iterable[RenderableType], lines: Iterable[str], notes: Iterable[str]
) -> RenderableType:
    blocks: list[RenderableType] = []
    for part in parts:
        blocks += [part, Text("")]
    blocks += [Text(line, style="dim") for line in lines]
    blocks += [Text(f"note: {note}") for note in dict.fromkeys(notes)]
    return Group(*blocks)
