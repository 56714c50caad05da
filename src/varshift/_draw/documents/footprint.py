"""The document of `footprint`: what noise there was in training, and where it stood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varshift._counting import counted
from varshift._draw.document import Cell, Column, Document, Missing, Row, Table
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import (
    by_reason,
    chance,
    name,
    named,
    names,
    number,
    words,
)
from varshift._draw.documents.parts import LEVELS, MEASURE, add_calculator
from varshift._draw.figures import figure, fixed, noise_names, stood
from varshift._draw.pictures.described import Interval, Intervals, Pattern
from varshift.results import Footprint, FootprintSite, Instead
from varshift.results.grading import worst_grade

__all__: list[str] = []

_POINTS = 3
_UNDECIDED = 5  # noises whose other places get a sentence
_PATTERNS = 6  # pictures over channels: the largest noises show what one looks like
_GRADED = (
    "Grades of the shift that noise makes at its norm, by its severity less two standard errors: "
    f"{LEVELS}."
)
_ROUTES = Missing(
    "the routes from noise source to norm", "vs.inspect(model, example).to_html(path)"
)


@document.register
def _footprint(result: Footprint) -> Document:
    records, claims = result.records(), result.claims
    notes = [*by_reason(result.skipped), *result.notes]
    if not records:
        return Document("No norm could be judged.", notes=notes, missing=[_ROUTES, MEASURE])
    made = Document(
        _head(result, claims),
        tone=worst_grade(*(record.grade for record in claims)) if claims else None,
        detail=_detail(result, claims),
        points=[_point(record) for record in claims[:_POINTS]],
        picture=_intervals(records),
        meanings=[_passed(result), _GRADED] if claims else [_passed(result)],
        following="Next: predict with that noise (what it shifts), repair (what helps)."
        if claims
        else "",
        notes=notes,
        missing=[_ROUTES, MEASURE],
        facts={
            "samples": f"{result.samples:,}",
            "batches": f"{result.batches:,}",
            "passes over the data": str(result.passes),
            "random seed": "fixed: masks come from generators of the call's own",
        },
    )
    made.add(
        "noise",
        "Noise the checkpoint was trained with",
        "A norm trained behind dropout has stored a variance that is too large for its noise-free "
        "input. By how much says the drop_p. An interval that holds 0 claims nothing; nor does "
        "negligible noise, or what chance gives among so many norms.",
        [*([made.picture] if made.picture else []), _table(records)],
    )
    made.add(
        "pattern",
        "The pattern over channels",
        "A dot is a channel. Across: what noise of τ = 1 at that place adds to its variance. Up: "
        "by how much more is stored than the noise-free variance and other noises explain. Both "
        "in units of the noise-free variance v. One noise puts all dots on a line through the "
        "origin, and its slope is τ = drop_p/(1 − drop_p). Weights that moved since, or other "
        "data, do not know which channels the noise would meet.",
        _patterns(records),
    )
    add_calculator(made)
    return made


def _head(result: Footprint, claims: Sequence[FootprintSite]) -> str:
    total = counted(len(result.sites), "norm")
    if not claims and result.misfits:
        odd = len(result.misfits)
        return (
            f"No noise in training is claimed: at {odd} of {total} no single noise fits what is "
            "stored."
        )
    if not claims:
        return (
            f"No noise in training is claimed at any of {total}: what they store fits training "
            "without dropout."
        )
    norms, most = len(result.claimed), claims[0]
    more = "" if len(claims) == norms else f", {counted(len(claims), 'noise')} in all"
    where = "at" if len(claims) == 1 else "most at"
    return (
        f"Noise in training is claimed at {norms} of {total}{more}; {where} {named(most.path)}, "
        f"drop_p {_ends(most)} {_where(most, most.path)}."
    )


def _detail(result: Footprint, claims: Sequence[FootprintSite]) -> str:
    if claims or not result.misfits:
        return ""
    return (
        f"The misfit is up to {figure(result.misfits[0].misfit, 3)}, where 1 is a perfect fit. "
        "Noise may have stood elsewhere (places=), or the weights moved since."
    )


def _point(record: FootprintSite) -> str:
    said = f"{named(record.path)}: drop_p {_ends(record)} {_where(record, record.path)}"
    return said if record.coded is None else f"{said}; in the code now {figure(record.coded, 3)}"


def _passed(result: Footprint) -> str:
    return (
        f"{counted(result.samples, 'sample')} in {counted(result.batches, 'batch')}, "
        f"{counted(result.passes, 'pass')}."
    )


def _undecided(records: Sequence[FootprintSite]) -> Iterator[str]:
    """Of claimed noises, the places that explain them as well."""
    several = [record for record in records if record.claimed and record.instead]
    for record in several[:_UNDECIDED]:
        others = ", ".join(
            f"or {_where(each, record.path)}: {_ends(each)}" for each in record.instead
        )
        either = "either" if len(record.instead) == 1 else "any of them"
        here = _where(record, record.path)
        yield f"{named(record.path)}: {here}, {others}; its channels fit {either}."
    if len(several) > _UNDECIDED:
        more = len(several) - _UNDECIDED
        yield f"{more} more fit another place as well; to_dict() has all."


def _intervals(records: Sequence[FootprintSite]) -> Intervals:
    rows = [
        Interval(
            record.path,
            record.drop_p,
            record.low,
            record.high,
            "train" if record.claimed else "stored",
            _told(record),
            beside,
            record.coded,
            hollow=not record.claimed,
        )
        for record, beside in zip(records, noise_names(records), strict=True)
    ]
    about = "drop_p that the stored variance of each norm speaks of, with its interval"
    label = "drop_p, 95 % interval; hollow: not claimed"
    if any(record.coded is not None for record in records):
        about += ", and the drop_p that the code has there"
        label += "; mark: in the code"
    return Intervals(about, label, rows, 0.0, least=-1.0, most=1.0)


def _told(record: FootprintSite) -> str:
    """What a pointer on a row is told."""
    said = f"drop_p {_ends(record)}{', claimed' if record.claimed else ''}"
    said += f"\n{_where(record, record.path)}"
    return said if record.coded is None else f"{said}\nin the code {figure(record.coded, 3)}"


def _patterns(records: Sequence[FootprintSite]) -> list[Pattern]:
    """Of the largest noises claimed, in the model's order."""
    claimed = [index for index, one in enumerate(records) if one.claimed and one.lever]
    kept = sorted(claimed, key=lambda index: -records[index].drop_p)[:_PATTERNS]
    beside = noise_names(records)
    return [_pattern(records[index], beside[index]) for index in sorted(kept)]


def _pattern(record: FootprintSite, beside: str) -> Pattern:
    about = (
        f"{beside}: variance stored in excess over what a unit of τ adds, "
        f"{counted(record.used, 'channel')}, about a line through the origin with slope "
        f"{figure(record.tau, 3)}"
    )
    low, high = record.tau_interval
    return Pattern(about, beside, record.lever, record.excess, record.tau, low, high)


def _table(records: Sequence[FootprintSite]) -> Table:
    columns = {
        "norm": Column("norm", numeric=False),
        "drop_p": Column("drop_p", "of a dropout that explains the stored variance"),
        "code": Column("code", "drop_p of the dropout that the model still has there"),
        "95 %": Column("95 %", "confidence interval of drop_p"),
        "claimed": Column("claimed", "taken for noise, beyond chance", False),
        "placed": Column(
            "placed",
            "where it is taken to have stood; +1: one more place fits as well; maps: whole ones "
            "were dropped, as by Dropout2d",
            False,
        ),
        "misfit": Column(
            "misfit",
            "1 is as good as sampling allows; much more: noise stood elsewhere, or weights still "
            "moved",
        ),
        "added": Column("added", "what the noise adds to the noise-free variance", wide=True),
        "p-value": Column("p-value", "how often no noise looks like this much", wide=True),
        "channels": Column("channels", "used of all", wide=True),
        "alike": Column("the same at", "places where noise does just the same", False, True),
    }
    empty = {
        "code": all(record.coded is None for record in records),
        "alike": not any(record.alike for record in records),
    }
    kept = [key for key in columns if not empty.get(key)]
    rows = []
    for record in records:
        cells = _cells(record)
        rows.append(Row([cells[key] for key in kept], _weight(record), record.grade))
    return Table(
        _title(records),
        [columns[key] for key in kept],
        rows,
        below=list(_undecided(records)),
        numbered=True,
    )


def _weight(record: FootprintSite) -> float:
    """The claimed ones first, then the largest rate."""
    return record.drop_p + 10 * record.claimed


def _title(records: Sequence[FootprintSite]) -> str:
    norms = len({record.path for record in records})
    said = "Noise that each norm remembers"
    if norms == len(records):
        return said
    return f"{said}: {counted(len(records), 'noise')} at {counted(norms, 'norm')}"


def _cells(record: FootprintSite) -> dict[str, Cell]:
    others = record.instead if record.claimed else ()
    before, place, after = stood(record.place, record.noise, record.path)
    after += f" +{len(others)}" if others else ""
    return {
        "norm": name(record.path),
        "drop_p": Cell(fixed(record.drop_p), sort=record.drop_p),
        "code": number(record.coded, 3),
        "95 %": Cell(f"{fixed(record.low)} to {fixed(record.high)}", sort=record.low),
        "claimed": Cell("yes" if record.claimed else "no"),
        "placed": name(place, before, after) if place else words(before + after),
        "misfit": Cell(fixed(record.misfit, 1), sort=record.misfit),
        "added": number(record.added, 3),
        "p-value": chance(record.p_value),
        "channels": Cell(f"{record.used} of {record.channels}", sort=float(record.channels)),
        "alike": names(record.alike),
    }


def _where(one: FootprintSite | Instead, norm: str) -> str:
    before, place, after = stood(one.place, one.noise, norm)
    return f"{before}{named(place) if place else ''}{after}"


def _ends(one: FootprintSite | Instead) -> str:
    return f"{fixed(one.drop_p)} ({fixed(one.low)} to {fixed(one.high)})"
