"""What the paper did not ask: what checkpoints remember, and what everything cost."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from varshift._draw.document import Table
from varshift.reproduce.book import Book
from varshift.reproduce.nets import Placing
from varshift.reproduce.precision import precision_of
from varshift.reproduce.records import Record
from varshift.reproduce.tables import number, spread, table

__all__ = ["budget", "footprints", "provenance"]

MADE_WITH = ("data", "sha256", "train_images", "test_images", "varshift", "torch", "numpy")


def footprints(book: Book) -> Table:
    """What `varshift footprint` reads off each kind of checkpoint, without being told the noise."""
    rows = [
        (family, _named(placing), *_remembered(book.find(family, placing)))
        for family in book.families
        for placing in book.placings(family)
    ]
    heads = ("", "trained with", "fed and judged", "of them claimed", "drop_p read", "others")
    note = (
        "Fed and judged: norms the noise feeds with no other norm between, and of which the "
        "checkpoint says enough; behind the sum of a branch and its shortcut it does not, "
        "where the noise of (b) goes in three of the networks. drop_p read: median over "
        "these norms, in dropout's terms (Uout and Gaussian of the same τ count as such), ± "
        "deviation over seeds. Others: share of all other norms that claim noise."
    )
    return table(f"Beyond the paper, {book.title}: footprints", heads, rows, note, wide=True)


def _named(placing: Placing) -> str:
    if placing.place == "none":
        return "no noise"
    where = {"a": "(a)", "b": "(b)", "last": "the head"}[placing.place]
    return f"{placing.kind} {placing.amount:g} at {where}"


def _remembered(found: Sequence[Record]) -> tuple[str, ...]:
    fed, others, read = [], [], []
    for one in found:
        # Those that this run's noise reaches with no other norm on the way.
        place = one["run"]["placing"]["place"]
        hit = {site["path"] for site in one["sites"] if place in site["placements"]}
        sites = one["footprint"]["sites"]
        mine = [site for site in sites if site["path"] in hit]
        fed += mine
        others += [site for site in sites if site["path"] not in hit]
        if mine:
            read.append(statistics.median(site["drop_p"] for site in mine))
    return str(len(fed)), _claimed(fed), spread(read, 3), _claimed(others)


def _claimed(sites: Sequence[Record]) -> str:
    claimed = sum(site["claimed"] for site in sites)
    return f"{100 * claimed / len(sites):.0f} %" if sites else "–"


def budget(book: Book) -> Table:
    """How large the networks are and what training and repairing took, in images."""
    rows = []
    for family in book.families:
        if not (found := book.find(family)):
            continue
        one = found[0]
        shape = one["run"]["shape"]
        size = f"{shape['blocks']} × {shape['width']}"
        size += f" × {shape['groups']}" if shape["groups"] > 1 else ""
        loss = statistics.fmean(record["losses"][-1] for record in found)
        counts = f"{one['parameters']:,}", str(one["norms"]), f"{one['images_seen']:,}"
        rows.append((family, size, *counts, number(loss, 3)))
    heads = ("", "blocks × width", "parameters", "norms", "images seen", "last epoch's loss")
    note = (
        "All runs of a network, whatever their noise, saw the same number of images in the "
        "same order: every table compares at equal training budget. Adjusting and "
        "recalibrating add one forward pass of the calibration images, distilling its noisy "
        "passes and a fit of the norms' affine parameters on the same images."
    )
    return table(f"Networks and budget, {book.title}", heads, rows, note, wide=True)


def provenance(records: Sequence[Record]) -> Table:
    """What the records were made with; each line of the records has its own."""
    made = [one["provenance"] for one in records]
    rows = [
        (name.replace("_", " "), ", ".join(dict.fromkeys(_cut(one[name]) for one in made)))
        for name in (*MADE_WITH, "python")
    ]
    rows.append(("seeds", ", ".join(map(str, sorted({one["run"]["seed"] for one in records})))))
    if any("precision" in one for one in records):
        rows.append(("convolutions trained in", ", ".join(sorted(set(map(precision_of, records))))))
    rows.append(("runs", str(len(records))))
    moments = [one["measured"] for one in made]
    rows.append(("measured", f"{min(moments)} to {max(moments)}" if moments else "–"))
    return table("Provenance", ("", ""), rows, wide=True)


def _cut(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return f"{text[:16]}…" if len(text) == 64 else text
