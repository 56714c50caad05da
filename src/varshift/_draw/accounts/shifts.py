"""Accounts of structures, measurements and predictions: which norms, and by how much."""

from __future__ import annotations

import math

from varshift._counting import counted
from varshift._draw.accounts.parts import (
    MOST,
    Account,
    Name,
    Row,
    Sheet,
    Words,
    account,
    by_reason,
    named,
    worst,
)
from varshift._draw.figures import behind, drop, fixed, measured, place, through
from varshift.results import Expected, Measurement, Prediction, Site, Structure

__all__ = ["routes"]

_SEVERE = 1.1  # from which a row is marked
_UNTRAINED = (
    "No norm has been trained, though: these figures are of weights and statistics as they were "
    "made. Give the trained ones (--checkpoint); check sizes an untrained model."
)


@account.register
def _structure(result: Structure, most: int = MOST) -> Account:
    active = [noise for noise in result.noises if noise.active]
    silent = len(result.noises) - len(active)
    hit = {route.norm for route in result.direct()}
    head = (
        f"{len(active)} active and {silent} silent noise "
        f"{'source' if len(active) + silent == 1 else 'sources'}, "
        f"{counted(len(result.norms), 'norm')}, {len(hit) or 'none'} of them reached directly "
        "by noise."
    )
    sheets = [
        *([_noises(result, most)] if active else []),
        *([_norms(result, most)] if hit else []),
    ]
    meaning = (
        "(a): nothing with weights between the noise and the norm. (b): a linear or "
        "convolution layer between."
    )
    following = "Next: predict (how far that shifts the variance), measure (how far it does)."
    return Account(
        head, sheets, [meaning] if hit else [], following if hit else "", list(result.notes)
    )


def _noises(result: Structure, most: int) -> Sheet:
    active = [noise for noise in result.noises if noise.active]
    rows = [
        Row(
            (
                Name(noise.name),
                Words(noise.operation),
                drop(noise),
                noise.sharing,
                Name(place(noise)),
            )
        )
        for noise in active[:most]
    ]
    headings = ("source", "operation", "drop", "shared by", "line")
    return Sheet("Noise sources that draw in training", headings, rows, len(active))


def _norms(result: Structure, most: int) -> Sheet:
    order = {norm.path: index for index, norm in enumerate(result.norms)}
    first = {route.norm: route for route in reversed(result.direct())}
    paths = sorted(first, key=lambda path: order.get(path, len(order)))
    rows = [
        Row((Name(path), _behind(result, path), Words(through(first[path]))))
        for path in paths[:most]
    ]
    return Sheet(
        "Norms that noise reaches directly", ("norm", "behind it", "through"), rows, len(first)
    )


def routes(result: Structure, most: int) -> Sheet:
    """Every route, the direct ones first: what a notebook has room for."""
    ordered = sorted(result.routes, key=lambda route: not route.direct)
    rows = []
    for route in ordered[:most]:
        noise = result.noise(route.noise)
        rows.append(
            Row(
                (
                    *(Name(route.norm), Name(route.noise), route.placement, drop(noise)),
                    *(noise.sharing, Words(through(route))),
                ),
                route.direct,
            )
        )
    headings = ("norm", "noise", "placement", "drop", "shared by", "through")
    return Sheet("Routes, the direct ones first", headings, rows, len(ordered))


def _behind(structure: Structure, path: str) -> Name:
    before, text, after = behind(structure, path)
    return Name(text, before, after)


@account.register
def _measurement(result: Measurement, most: int = MOST) -> Account:
    severe = [path for path, site in result.sites.items() if _rank(site) > _SEVERE]
    chosen = worst(result.sites, lambda path: _rank(result.sites[path]), most)
    rows = [
        Row(
            (
                Name(path),
                measured(site.shift, site.shift_se),
                measured(site.severity, site.severity_se, 2),
                measured(site.paper, site.paper_se, 2),
                _behind(result.structure, path),
            ),
            _rank(site) > _SEVERE,
        )
        for path, site in result.sites.items()
        if path in set(chosen)
    ]
    dead = {
        path: f"{counted(len(site.dead), 'dead channel')} left out"
        for path, site in result.sites.items()
        if site.dead
    }
    title = (
        f"Shift of the variance over {counted(result.samples, 'sample')} in "
        f"{counted(result.batches, 'batch')}"
    )
    headings = ("norm", "Δ test/train", "severity", "paper's", "noise behind")
    return Account(
        _worst_measured(result, len(severe)),
        [Sheet(title, headings, rows, len(result.sites), "worst")] if rows else [],
        [
            "Δ: variance at test ÷ variance in training, median over channels (below 1: the norm "
            "divides by too much). Severity: Δ or 1/Δ, whichever is larger; bold above 1.1 by more "
            "than two standard errors. Paper's: ratio of channel means against the stored "
            "variance. ± one standard error."
        ],
        "Next: explain (whose fault it is), repair (what helps)." if severe else "",
        [*by_reason(dead), *by_reason(result.skipped, "not measured, "), *result.notes],
        _UNTRAINED if _untrained(result) else "",
    )


def _untrained(result: Measurement) -> bool:
    """Whether every norm still holds mean 0 and variance 1."""
    return bool(result.sites) and all(site.stored.untouched for site in result.sites.values())


def _worst_measured(result: Measurement, severe: int) -> str:
    known = {path: site for path, site in result.sites.items() if site.severity == site.severity}
    if not known:
        return "No norm could be measured."
    path = max(known, key=lambda path: _rank(known[path]))
    site = known[path]
    return _sentence(
        severe,
        len(result.sites),
        "shift",
        f"{named(path)}, {measured(site.severity, site.severity_se, 2)}",
    )


def _sentence(severe: int, total: int, verb: str, largest: str) -> str:
    if not severe:
        said = f"None of {counted(total, 'norm')}" if total > 1 else "The one norm does not"
        verb = f"{verb}s" if total > 1 else verb
    else:
        said = f"{severe} of {counted(total, 'norm')}"
        verb = f"{verb}s" if severe == 1 else verb
    return f"{said} {verb} by more than {_SEVERE}; {'worst' if severe else 'largest'} {largest}."


def _rank(site: Site) -> float:
    """Severity less two standard errors; last what is NaN, or what a norm takes out itself."""
    if site.by_batch:
        return 0.0
    error = site.severity_se if site.severity_se == site.severity_se else 0.0
    rank = site.severity - 2 * error
    return rank if rank == rank else 0.0


@account.register
def _prediction(result: Prediction, most: int = MOST) -> Account:
    notes = [*by_reason(result.skipped), *result.notes]
    if not result.sites:
        why = ", for these reasons:" if result.skipped else "."
        return Account(f"No norm could be predicted from {_source(result)}{why}", notes=notes)
    chosen = set(worst(result.sites, lambda path: result.sites[path].severity, most))
    rows = [
        Row(
            (
                Name(path),
                fixed(site.shift),
                _band(site),
                fixed(site.severity, 2),
                Words(site.how),
            ),
            site.severity > _SEVERE,
        )
        for path, site in result.sites.items()
        if path in chosen
    ]
    headings = ("norm", "Δ test/train", "band", "severity", "how")
    severe = sum(site.severity > _SEVERE for site in result.sites.values())
    return Account(
        _worst_expected(result, severe),
        [Sheet("Shift that theory expects", headings, rows, len(result.sites), "worst")],
        _from(result),
        "Next: measure (whether it is so), predict with other noise (what would shift less)."
        if severe
        else "",
        notes,
    )


def _worst_expected(result: Prediction, severe: int) -> str:
    known = {path: s.severity for path, s in result.sites.items() if s.severity == s.severity}
    if not known:
        return "No norm has a channel that is alive."
    path = max(known, key=lambda path: known[path])
    largest = f"{named(path)}, {fixed(known[path], 2)}"
    said = _sentence(severe, len(result.sites), "shift", largest)
    return f"By theory, {said[:1].lower()}{said[1:]}"


def _source(result: Prediction) -> str:
    if result.samples:
        return counted(result.samples, "sample")
    shown = any(site.how == "example" for site in result.sites.values())
    return "the checkpoint and an example" if shown else "the checkpoint alone"


def _from(result: Prediction) -> list[str]:
    lines = [
        f"From {_source(result)}, the weights as they are. Band: two standard errors with data; "
        "without, what an example and earlier norms leave open. Bold: severity above 1.1.",
    ]
    laws = ", ".join(f"{name} τ = {tau:.4g}" for name, tau in list(result.asked.items())[:6])
    if laws:
        lines.append(f"Noise: {laws}{' …' if len(result.asked) > 6 else ''}.")
    return lines


def _band(site: Expected) -> str:
    if math.isnan(site.low) or math.isnan(site.high):
        return "n/a"
    return f"{fixed(site.low)}–{fixed(site.high)}"
