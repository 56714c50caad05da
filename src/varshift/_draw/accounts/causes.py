"""Accounts of explanations: what became of the variance, and whose fault it is."""

from __future__ import annotations

from collections.abc import Iterable

from varshift._counting import counted
from varshift._draw.accounts.parts import (
    MOST,
    Account,
    Cell,
    Name,
    Row,
    Sheet,
    account,
    by_reason,
    worst,
)
from varshift._draw.figures import displaced, fixed, measured, place
from varshift.results import Blame, Explanation, Factors, Figure

__all__: list[str] = []

_CULPRITS = 3  # sources of a site that get a line; the rest is summed up
_LEAST = 0.01  # share of the variance worth a line


@account.register
def _explanation(result: Explanation, most: int = MOST) -> Account:
    chosen = worst(result.factors, lambda path: displaced(result.factors[path]), most)
    sheets = [_factors(result, chosen)] if chosen else []
    if result.blame.share or any(map(_tells, result.blame.rest.values())):
        sheets.append(_blame(result, [*result.outputs, *result.factors], most))
    if result.outputs and result.blame.noises:
        sheets.append(_outputs(result, most))
    lines = [
        "Total: variance at test ÷ stored variance = noise × batches × stale × data. Noise: off ÷ "
        "on, norms at training statistics. Batches: what normalising by a batch, and averaging "
        "within batches, does. Stale: age of the stored statistics and what it carries on. "
        "± one standard error of the total.",
    ]
    if result.blame.share or any(map(_tells, result.blame.rest.values())):
        lines.append(
            "Share: of the variance in training, each source alone; from 1 % and two standard "
            f"errors. {counted(result.blame.passes, 'pass')}, subsets "
            f"carried by each {result.blame.unit}. Rest: stays with every source silenced."
        )
    repairable = result.verdict not in ("none", "other-norms", "unattributed")
    return Account(
        f"Verdict: {result.verdict}.",
        [sheet for sheet in sheets if sheet.rows],
        lines,
        "Next: repair (what helps, measured before it is kept)." if repairable else "",
        [*by_reason(result.skipped, "not explained, "), *result.notes],
        detail=result.reason,
    )


def _factors(result: Explanation, chosen: list[str]) -> Sheet:
    rows = []
    for path in chosen:
        site = result.factors[path]
        figures = (site.alone.value, _batches(site), _stale(site), site.data.value)
        total = measured(site.total.value, site.total.se)
        rows.append(Row((Name(path), total, *map(fixed, figures))))
    title = (
        f"What became of the variance, {counted(result.samples, 'sample')}, "
        f"{counted(result.batches, 'batch')}"
    )
    headings = ("norm", "total", "noise", "batches", "stale", "data")
    return Sheet(title, headings, rows, len(result.factors), "worst")


def _batches(site: Factors) -> float:
    return site.batches.value * site.composition.value


def _stale(site: Factors) -> float:
    return site.carried.value * site.age.value


def _blame(result: Explanation, places: Iterable[str], most: int) -> Sheet:
    """The outputs first: of many norms the last would push them out."""
    told = {name: held for name in places if (held := _culprits(result, name))}
    outputs = [name for name in told if name in result.outputs][:most]
    norms = [name for name in told if name not in result.outputs]
    kept = {
        *outputs,
        *worst(norms, lambda name: abs(result.blame.total[name].value), most - len(outputs)),
    }
    rows = [
        Row((Name(name if index == 0 else ""), *cells))
        for name, lines in told.items()
        if name in kept
        for index, cells in enumerate(lines)
    ]
    # Counted by place: a place may take several rows.
    title = "Whose noise it is"
    if len(kept) < len(told):
        title += f", the outputs and the worst norms: {len(kept)} of {len(told)} places"
    return Sheet(title, ("place", "source", "share", "line"), rows, len(rows))


def _culprits(result: Explanation, name: str) -> list[tuple[Cell, ...]]:
    blame: Blame = result.blame
    if name not in blame.places:
        return []
    behind = blame.behind(name)
    sure = [(source, share) for source, share in behind.items() if _tells(share)]
    rows: list[tuple[Cell, ...]] = [
        (Name(source), _percent(share), Name(place(result.structure.noise(source))))
        for source, share in sure[:_CULPRITS]
    ]
    others = sum(share.value for _, share in sure[_CULPRITS:])
    if abs(others) >= _LEAST:
        rows.append((Name(f"{len(sure) - _CULPRITS} more"), f"{100 * others:.1f} %", Name("")))
    if _tells(blame.interaction[name]):
        rows.append((Name("(interaction)"), _percent(blame.interaction[name]), Name("")))
    rest = blame.rest[name]
    if _tells(rest):
        # What is nobody's comes first where no source has as much.
        first = not sure or abs(rest) > abs(sure[0][1])
        rows.insert(0 if first else len(rows), (Name("(rest)"), _percent(rest), Name("")))
    return rows


def _tells(figure: Figure) -> bool:
    """Whether a share is worth a line: large enough, and sure to be there."""
    error = figure.se if figure.se == figure.se else 0.0
    return abs(figure.value) >= max(_LEAST, 2 * error)


def _percent(figure: Figure) -> str:
    return f"{measured(100 * figure.value, 100 * figure.se, 1)} %"


def _outputs(result: Explanation, most: int) -> Sheet:
    rows = [
        Row(
            (
                Name(name),
                measured(output.mean_shift.value, output.mean_shift.se),
                f"× {measured(output.var_ratio.value, output.var_ratio.se)}",
            )
        )
        for name, output in list(result.outputs.items())[:most]
    ]
    headings = ("output", "mean moves by (σ)", "variance")
    return Sheet("Outputs, noise off against on", headings, rows, len(result.outputs))
