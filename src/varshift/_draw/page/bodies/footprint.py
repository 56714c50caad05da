"""The page of `footprint`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from varshift._draw.figures import figure, noise_names, shortened, stood
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
    names_cell,
    number_cell,
)
from varshift._draw.page.pictures import Interval, Pattern, intervals, pattern
from varshift.results import Footprint, FootprintSite

__all__: list[str] = []

_POOR = 4.0  # misfit from which no one noise explains what a norm stores (docs/footprint.md)
_PICTURES = 6  # patterns over channels: the largest noises show what one looks like
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
    made.add(
        "pattern",
        "The pattern over channels that convinces",
        "A dot is a channel. Across: what noise of τ = 1 at that place would add to its variance. "
        "Up: by how much more is stored than the noise-free variance and other noises explain. "
        "Both in units of the noise-free variance v. One noise puts all dots on a line through the "
        "origin, and its slope is τ = drop_p/(1 − drop_p); weights that moved since, or other "
        "data, do not know which channels the noise would meet.",
        _patterns(result),
    )
    add_what_if(made)
    return made


def _summary(result: Footprint) -> list[str]:
    judged = (
        f"{counted(len(result.sites), 'norm')} judged, over {counted(result.samples, 'sample')}."
    )
    claimed = [record for record in result.records() if record.claimed]
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
    return [judged, _claims(result, claimed)]


def _claims(result: Footprint, claimed: Sequence[FootprintSite]) -> str:
    most = max(claimed, key=lambda record: record.drop_p)
    norms = len(result.claimed)
    said = f"{counted(norms, 'norm')} {'claims' if norms == 1 else 'claim'} "
    if len(claimed) == 1:
        said += "noise: a drop_p of "
    else:
        noise = "noise" if len(claimed) == norms else counted(len(claimed), "noise")
        said += f"{noise}; the most is a drop_p of "
    said += (
        f"{most.drop_p:.3f} (95 %: {most.low:.3f} to {most.high:.3f}) at "
        f"{shortened(most.path, 80)}, {_where(most.place, most.noise, most.path)}"
    )
    if most.coded is not None:
        said += f" (in the code now: {figure(most.coded, 3)})"
    others = " or ".join(_where(each.place, each.noise, most.path) for each in most.instead[:3])
    return f"{said}. It may as well have stood {others}." if others else f"{said}."


def _where(place: str, noise: str, norm: str) -> str:
    before, name, after = stood(place, noise, norm)
    return f"{before}{shortened(name, 80)}{after}"


def _noise(result: Footprint) -> list[Part]:
    records = result.records()
    if not records:
        return []
    rows = [
        Interval(
            record.path,
            record.drop_p,
            record.low,
            record.high,
            "train" if record.claimed else "stored",
            _told(record),
            name,
            record.coded,
        )
        for record, name in zip(records, noise_names(records), strict=True)
    ]
    about = "drop_p that each norm's stored variance remembers, with its interval"
    label = "drop_p, 95 % interval; coloured: claimed"
    if any(record.coded is not None for record in records):
        about += ", and the drop_p that the code has there"
        label += "; upright line: in the code"
    return [intervals(rows, 0.0, label, about, least=-1.0, most=1.0), _table(records)]


def _told(record: FootprintSite) -> str:
    """What a pointer on a row is told."""
    ends = f"{figure(record.low, 3)} to {figure(record.high, 3)}"
    said = f"drop_p {figure(record.drop_p, 3)}, {ends}" + (", claimed" if record.claimed else "")
    said += f"\n{_where(record.place, record.noise, record.path)}"
    return said if record.coded is None else f"{said}\nin the code {figure(record.coded, 3)}"


def _patterns(result: Footprint) -> list[Part]:
    """Of the largest noises claimed, in the model's order."""
    records = result.records()
    claimed = [index for index, one in enumerate(records) if one.claimed and one.lever]
    kept = sorted(claimed, key=lambda index: -records[index].drop_p)[:_PICTURES]
    names = noise_names(records)
    drawn: list[Part] = [
        pattern(
            Pattern(
                names[index],
                records[index].lever,
                records[index].excess,
                records[index].tau,
                _tau(records[index].low),
                _tau(records[index].high),
            )
        )
        for index in sorted(kept)
    ]
    return drawn


def _tau(drop_p: float) -> float:
    """τ of a drop_p that may be negative; −∞ has none."""
    return drop_p / (1 - drop_p) if math.isfinite(drop_p) and drop_p < 1 else math.nan


def _end(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else figure(value)


def _table(records: Sequence[FootprintSite]) -> Table:
    columns = {
        "norm": Column("norm", numeric=False),
        "drop_p": Column("drop_p", "of a dropout that would explain the stored variance"),
        "95 %": Column("95 %", "confidence interval"),
        "claimed": Column("claimed", "taken for noise beyond chance", False),
        "placed": Column(
            "placed", "where noise is taken to have stood; maps: whole ones dropped", False
        ),
        "code": Column("code", "drop_p of the dropout that the model still has there"),
        "added": Column("added", "of the noise-free variance, the part that noise adds"),
        "misfit": Column(
            "misfit", "1 is a perfect fit; much more: noise elsewhere, or weights that moved"
        ),
        "p-value": Column("p-value", "how often no noise would look like this much"),
        "channels": Column("channels", "used of all"),
        "alike": Column("the same at", "places where noise does just the same", False),
        "instead": Column("or else", "places that fit as well, with the drop_p there", False, True),
    }
    empty = {
        "code": all(record.coded is None for record in records),
        "alike": not any(record.alike for record in records),
        "instead": not any(record.claimed and record.instead for record in records),
    }
    kept = [key for key in columns if not empty.get(key)]
    cells = [_cells(record) for record in records]
    return Table(
        _caption(records),
        [columns[key] for key in kept],
        [[row[key] for key in kept] for row in cells],
    )


def _caption(records: Sequence[FootprintSite]) -> str:
    norms = len({record.path for record in records})
    said = counted(norms, "norm")
    return said if norms == len(records) else f"{counted(len(records), 'noise')} at {said}"


def _cells(record: FootprintSite) -> dict[str, Cell]:
    others = [
        f"{_where(each.place, each.noise, record.path)}: {_end(each.drop_p)} "
        f"({_end(each.low)} to {_end(each.high)})"
        for each in record.instead
        if record.claimed
    ]
    instead = "; ".join(others) or "—"
    return {
        "norm": name_cell(record.path),
        "drop_p": Cell(_end(record.drop_p), record.drop_p),
        "95 %": Cell(f"{_end(record.low)} to {_end(record.high)}", record.low),
        "claimed": Cell("yes" if record.claimed else "no", str(record.claimed)),
        "placed": name_cell("".join(stood(record.place, record.noise, record.path))),
        "code": number_cell(record.coded, 3),
        "alike": names_cell(record.alike),
        "instead": Cell(instead, instead),
        "added": number_cell(record.added, 3),
        "misfit": number_cell(record.misfit, 3),
        "p-value": chance_cell(record.p_value),
        "channels": Cell(f"{record.used} of {record.channels}", float(record.channels)),
    }
