"""The account of a footprint: what noise there was, and where it stood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varshift._counting import counted
from varshift._draw.accounts.parts import (
    MOST,
    Account,
    Cell,
    Name,
    Row,
    Sheet,
    Words,
    account,
    by_reason,
    named,
    worst,
)
from varshift._draw.figures import figure, fixed, stood
from varshift.results import Footprint, FootprintSite

__all__: list[str] = []

_ELSEWHERE = 5  # noises whose other places get a line


@account.register
def _footprint(result: Footprint, most: int = MOST) -> Account:
    notes = [*by_reason(result.skipped), *result.notes]
    records = result.records()
    if not records:
        return Account("No norm could be judged.", notes=notes)
    chosen = worst(records, _claim, most)
    return Account(
        _remembered(result),
        [_sheet(chosen, len(records))],
        [*_elsewhere(chosen), _meaning(result, chosen)],
        "Next: predict with that noise (what it shifts), repair (what helps)."
        if result.claimed
        else "",
        notes,
    )


def _claim(record: FootprintSite) -> float:
    """The claimed ones first, then the largest rate."""
    return record.drop_p + 10 * record.claimed


def _sheet(chosen: Sequence[FootprintSite], total: int) -> Sheet:
    code = any(record.coded is not None for record in chosen)
    headings = ("norm", "drop_p", *(["code"] if code else []), "95 %", "placed", "misfit")
    rows = [
        Row(
            (
                Name(record.path),
                fixed(record.drop_p) + (" *" if record.claimed else ""),
                *([figure(record.coded, 3)] if code else []),
                f"{fixed(record.low)} to {fixed(record.high)}",
                _placed(record),
                fixed(record.misfit, 1),
            ),
            record.claimed,
        )
        for record in chosen
    ]
    return Sheet("Noise the checkpoint remembers", headings, rows, total, "worst")


def _placed(record: FootprintSite) -> Cell:
    before, name, after = stood(record.place, record.noise, record.path)
    return Name(name, before, after) if name else Words(before + after)


def _meaning(result: Footprint, chosen: Sequence[FootprintSite]) -> str:
    said = (
        f"{counted(result.samples, 'sample')} in {counted(result.batches, 'batch')}, "
        f"{counted(result.passes, 'pass')}. *: claims noise. "
    )
    if any(record.coded is not None for record in chosen):
        said += "Code: drop_p of the dropout that the model still has there. "
    if any(record.noise == "channel" for record in chosen):
        said += "Maps: whole ones were dropped, as by Dropout2d. "
    return said + (
        "Misfit: 1 is as good as sampling allows; much more says that the noise stood elsewhere "
        "or the weights still moved."
    )


def _elsewhere(chosen: Sequence[FootprintSite]) -> Iterator[str]:
    """Of claimed noises, the places that explain them as well."""
    open_ = [record for record in chosen if record.claimed and record.instead]
    for record in open_[:_ELSEWHERE]:
        others = ", ".join(
            f"or {_where(each.place, each.noise, record.path)}: {fixed(each.drop_p)} "
            f"({fixed(each.low)} to {fixed(each.high)})"
            for each in record.instead
        )
        here = _where(record.place, record.noise, record.path)
        either = "either" if len(record.instead) == 1 else "any of them"
        yield f"{named(record.path)}: {here}, {others}; its channels fit {either}."
    if len(open_) > _ELSEWHERE:
        yield f"{len(open_) - _ELSEWHERE} more fit another place as well: to_dict() has all."


def _where(place: str, noise: str, norm: str) -> str:
    before, name, after = stood(place, noise, norm)
    return f"{before}{named(name) if name else ''}{after}"


def _remembered(result: Footprint) -> str:
    total = counted(len(result.sites), "norm")
    claimed = [record for record in result.records() if record.claimed]
    if not claimed:
        return f"None of {total} claims noise."
    most = max(claimed, key=lambda record: record.drop_p)
    norms = len(result.claimed)
    verb = "claims" if norms == 1 else "claim"
    noise = "noise" if len(claimed) == norms else counted(len(claimed), "noise")
    where = _where(most.place, most.noise, most.path)
    said = f"{norms} of {total} {verb} {noise}; most {named(most.path)}, drop_p "
    return f"{said}{fixed(most.drop_p)} ({fixed(most.low)} to {fixed(most.high)}) {where}."
