"""What the paper did not ask: what checkpoints remember, and what everything cost."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from varshift.reproduce.book import Book, Record
from varshift.reproduce.estimates import estimate
from varshift.reproduce.nets import Placing
from varshift.reproduce.precision import precision_of
from varshift.reproduce.sheet import Sheet, number, spread

__all__ = ["budget", "footprints", "provenance"]


def footprints(book: Book) -> Iterator[Sheet]:
    """What `varshift footprint` reads off each kind of checkpoint, without being told the noise."""
    for data in book.sets:
        rows = []
        for family in book.families:
            for placing in _placings(book, family, data):
                found = list(book.find(family, placing, data=data).values())
                rows.append((family, _named(placing), *_remembered(found)))
        heads = ("", "trained with", "fed and judged", "of them claimed", "drop_p read", "others")
        note = (
            "Fed and judged: norms the noise feeds with no other norm between, and of which the "
            "checkpoint says enough; behind the sum of a branch and its shortcut it does not, "
            "where the noise of (b) goes in three of the networks. drop_p read: median over "
            "these norms, in dropout's terms (Uout and Gaussian of the same τ count as such), ± "
            "deviation over seeds. Others: share of all other norms that claim noise."
        )
        yield Sheet(
            f"Beyond the paper, {book.named(data)}: footprints", heads, tuple(rows), (note,)
        )


def _placings(book: Book, family: str, data: str) -> list[Placing]:
    there = {
        Placing(**one["run"]["placing"])
        for one in book.records
        if one["run"]["shape"]["family"] == family
    }
    kept = [placing for placing in there if book.find(family, placing, data=data)]
    return sorted(kept, key=lambda placing: (placing.place, placing.kind, placing.amount))


def _named(placing: Placing) -> str:
    if placing.place == "none":
        return "no noise"
    where = {"a": "(a)", "b": "(b)", "last": "the head"}[placing.place]
    return f"{placing.kind} {placing.amount:g} at {where}"


def _remembered(found: Sequence[Record]) -> tuple[str, ...]:
    fed, claimed, read, other, wrongly = 0, 0, [], 0, 0
    for one in found:
        hit = {site["path"] for site in one["sites"] if _fed(site, one)}
        sites = one["footprint"]["sites"]
        mine = [site for site in sites if site["path"] in hit]
        rest = [site for site in sites if site["path"] not in hit]
        fed, other = fed + len(mine), other + len(rest)
        claimed += sum(site["claimed"] for site in mine)
        wrongly += sum(site["claimed"] for site in rest)
        if mine:
            read.append(statistics.median(site["drop_p"] for site in mine))
    return (
        *(str(fed), _share(claimed, fed)),
        *(spread(estimate(read), 3) if read else "–", _share(wrongly, other)),
    )


def _fed(site: Record, record: Record) -> bool:
    """Whether this run's noise reaches the norm with no other norm on the way."""
    return record["run"]["placing"]["place"] in site["placements"]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def budget(book: Book) -> Iterator[Sheet]:
    """How large the networks are and what training and repairing took, in images."""
    for data in book.sets:
        rows = []
        for family in book.families:
            found = list(book.find(family, data=data).values())
            if not found:
                continue
            one = found[0]
            shape = one["run"]["shape"]
            size = f"{shape['blocks']} × {shape['width']}"
            size += f" × {shape['groups']}" if shape["groups"] > 1 else ""
            losses = [record["losses"][-1] for record in found]
            rows.append(
                (
                    *(family, size, f"{one['parameters']:,}", str(one["norms"])),
                    *(f"{one['images_seen']:,}", number(statistics.fmean(losses), 3)),
                )
            )
        heads = ("", "blocks × width", "parameters", "norms", "images seen", "last epoch's loss")
        note = (
            "All runs of a network, whatever their noise, saw the same number of images in the "
            "same order: every table compares at equal training budget. Adjusting and "
            "recalibrating add one forward pass of the calibration images, distilling its noisy "
            "passes and a fit of the norms' affine parameters on the same images."
        )
        yield Sheet(f"Networks and budget, {book.named(data)}", heads, tuple(rows), (note,))


def provenance(book: Book) -> Sheet:
    """What the records were made with; each line of the records has its own."""
    names = (
        "data",
        "sha256",
        "train_images",
        "test_images",
        "varshift",
        "torch",
        "numpy",
        "python",
    )
    rows = [(name.replace("_", " "), _all_of(book, name)) for name in names]
    seeds = sorted({one["run"]["seed"] for one in book.records})
    rows.append(("seeds", ", ".join(map(str, seeds))))
    if any("precision" in one for one in book.records):
        told = dict.fromkeys(precision_of(one) for one in book.records)
        rows.append(("convolutions trained in", ", ".join(told)))
    rows.append(("runs", str(len(book.records))))
    rows.append(("measured", _span([one["provenance"]["measured"] for one in book.records])))
    return Sheet("Provenance", ("", ""), tuple(rows))


def _all_of(book: Book, name: str) -> str:
    there = dict.fromkeys(one["provenance"][name] for one in book.records)
    return ", ".join(_cut(value) for value in there)


def _cut(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return f"{text[:16]}…" if len(text) == 64 else text


def _span(moments: list[str]) -> str:
    return f"{min(moments)} to {max(moments)}" if moments else "–"
