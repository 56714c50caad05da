"""The page of `footprint`."""

from __future__ import annotations

import math

from varshift._draw.figures import figure, shortened
from varshift._draw.page.bodies.plain import body
from varshift._draw.page.bodies.shared import MEASURE, add_what_if
from varshift._draw.page.parts import (
    Body,
    Cell,
    Column,
    Missing,
    Part,
    Table,
    chance_cell,
    counted,
    name_cell,
    number_cell,
)
from varshift._draw.page.pictures import Interval, intervals
from varshift.results import Footprint

__all__: list[str] = []

_POOR = 4.0  # misfit from which no one noise explains what a norm stores (docs/footprint.md)
_ROUTES = Missing(
    "the routes from noise source to norm", "vs.inspect(model, example).to_html(path)"
)


@body.register
def _footprint(result: Footprint) -> Body:
    facts = {"samples": f"{result.samples:,}", "batches": f"{result.batches:,}"}
    facts["passes over the data"] = str(result.passes)
    facts["random seed"] = "fixed: masks come from generators of the call's own"
    made = Body(_summary(result), missing=[_ROUTES, MEASURE], facts=facts, skipped=result.skipped)
    made.add(
        "noise",
        "Noise the checkpoint remembers",
        "A norm trained behind dropout has stored a variance that is too large for its noise-free "
        "input, and by how much says the drop_p. An interval that holds 0 claims nothing; nor does "
        "one of negligible noise, or one that chance gives among so many norms.",
        _noise(result),
    )
    add_what_if(made)
    return made


def _summary(result: Footprint) -> list[str]:
    judged = (
        f"{counted(len(result.sites), 'norm')} judged, over {counted(result.samples, 'sample')}."
    )
    claimed = [result.sites[path] for path in result.claimed]
    odd = [site.misfit for site in result.sites.values() if site.misfit > _POOR]
    if odd and not claimed:
        return [
            f"No claim can be made: at {len(odd)} of {counted(len(result.sites), 'norm')} no "
            f"single noise fits what is stored (misfit up to {figure(max(odd), 3)}, where 1 is a "
            "perfect fit). Noise may stand elsewhere (places=), or weights have moved since.",
            judged,
        ]
    if not claimed:
        return ["None claims noise: what they store fits training without dropout.", judged]
    most = max(claimed, key=lambda site: site.drop_p)
    verb = "claims" if len(claimed) == 1 else "claim"
    return [
        judged,
        f"{counted(len(claimed), 'norm')} {verb} noise; the most is a drop_p of "
        f"{most.drop_p:.3f} (95 %: {most.low:.3f} to {most.high:.3f}) at "
        f"{shortened(most.path, 80)}.",
    ]


def _noise(result: Footprint) -> list[Part]:
    if not result.sites:
        return []
    rows = [
        Interval(
            path,
            site.drop_p,
            site.low,
            site.high,
            "train" if site.claimed else "stored",
            f"drop_p {figure(site.drop_p, 3)}, {figure(site.low, 3)} to {figure(site.high, 3)}"
            + (", claimed" if site.claimed else ""),
        )
        for path, site in result.sites.items()
    ]
    about = "drop_p that each norm's stored variance remembers, with its interval"
    label = "drop_p, 95 % interval; coloured: claimed"
    return [intervals(rows, 0.0, label, about, least=-1.0, most=1.0), _table(result)]


def _end(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else figure(value)


def _table(result: Footprint) -> Table:
    columns = [
        Column("norm", numeric=False),
        Column("drop_p", "of a dropout that would explain the stored variance"),
        Column("95 %", "confidence interval"),
        Column("claimed", "taken for noise beyond chance", False),
        Column("placed", "where the noise is taken to have stood", False),
        Column("added", "of the noise-free variance, the part that noise adds"),
        Column("misfit", "1 is a perfect fit; much more: noise elsewhere, or weights that moved"),
        Column("p-value", "how often no noise would look like this much"),
        Column("channels", "used of all"),
    ]
    rows = [
        [
            name_cell(path),
            Cell(f"{site.drop_p:.3f}", site.drop_p),
            Cell(f"{_end(site.low)} to {_end(site.high)}", site.low),
            Cell("yes" if site.claimed else "no", str(site.claimed)),
            name_cell("the norm's input" if site.placement == "a" else f"before {site.place}"),
            number_cell(site.added, 3),
            number_cell(site.misfit, 3),
            chance_cell(site.p_value),
            Cell(f"{site.used} of {site.channels}", float(site.channels)),
        ]
        for path, site in result.sites.items()
    ]
    return Table(counted(len(rows), "norm"), columns, rows)
