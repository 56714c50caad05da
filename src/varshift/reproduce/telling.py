"""The one document of a reproduction: verdicts, a section for each experiment, and the rest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from varshift._draw.document import Document, Table
from varshift._draw.pictures.described import Intervals, Picture
from varshift.reproduce.beyond import budget, footprints, provenance
from varshift.reproduce.book import Book
from varshift.reproduce.claims import Verdict
from varshift.reproduce.estimates import LEVEL, Part
from varshift.reproduce.experiments import EXPERIMENTS, Experiment, judged, runs_of
from varshift.reproduce.scales import SCALES
from varshift.reproduce.slips import slip_table
from varshift.reproduce.tables import interval, table

__all__ = ["alone", "detail_table", "listing", "report", "verdict_table"]

SMOKE = "A smoke run shows that everything runs. Its networks are toys: its verdicts say nothing."


def report(experiments: Sequence[Experiment], books: Sequence[Book], scale: str) -> Document:
    """All that follows from the records; what is wide is for the page alone."""
    made = Document(
        f"The paper's tables and figures at scale {scale}",
        detail=SMOKE if scale == "smoke" else "",
        notes=[
            f"Not trained: {one['label']}. {one['failed']}" for book in books for one in book.failed
        ],
    )
    verdicts = [(book, judged(book)) for book in books]
    made.add("claims", "", "", [verdict_table(told, book.title) for book, told in verdicts])
    for one in experiments:
        for index, book in enumerate(books):
            # The first set's pictures go by the experiment's name alone.
            name = one.name if not index else f"{one.name}-{book.data}"
            if shown := [*_picture(one, book), *(each for each in one.tables(book) if each.rows)]:
                made.add(name, f"{name}: {one.title}", "", shown)
    beyond = [of(book) for of in (footprints, budget) for book in books]
    made.add("beyond", "Beyond the paper", "", beyond)
    for book, told in verdicts:
        details = map(detail_table, told)
        made.add(f"details-{book.data}", f"Claims in detail, {book.title}", "", details)
    records = [one for book in books for one in book.records]
    made.add("slips", "Slips", "", [slip_table(wide=True), provenance(records)])
    return made


def _picture(one: Experiment, book: Book) -> Iterator[Picture]:
    """None of what was not run."""
    made = one.picture(book)
    if not isinstance(made, Intervals) or made.rows:
        yield replace(made, caption=book.title)


def alone(*tables: Table) -> Document:
    """Tables that follow from no records of this machine."""
    made = Document("")
    made.add("tables", "", "", tables)
    return made


def verdict_table(verdicts: Iterable[Verdict], data: str) -> Table:
    """One row per claim: its word and the effects it rests on. `data` names the images."""
    rows = [
        (
            *(one.claim.key, one.claim.says, one.word),
            "; ".join(map(_told, one.deciding)) or "not run",
            ", ".join(part.name for part in one.exceptions) or "–",
        )
        for one in verdicts
    ]
    note = (
        f"Mean over these networks [{100 * LEVEL:.0f} % interval from their seeds, Student's t]. "
        "*Holds*: every interval lies wholly where the claim puts it; *does not hold*: one lies "
        "wholly elsewhere; else *not decided at this scale*. The last column: networks of which "
        "all seeds say the opposite. Intervals are not corrected for their number."
    )
    heads = ("", "claim", "verdict", "effects", "but not")
    return table(f"The paper's claims, {data}", heads, rows, note)


def detail_table(verdict: Verdict) -> Table:
    """Every estimate of one claim, network by network."""
    rows = [
        (
            f"{part.name} (beside)" if part.role == "beside" else part.name,
            *(interval(part.estimate, 3), _range(part), str(len(part.estimate.values)), part.word),
        )
        for part in verdict.parts
    ]
    claim = verdict.claim
    note = f"Measured: {claim.figure}. In the paper: {claim.source}."
    heads = ("", "effect", "holds if", "n", "")
    return table(f"({claim.key}) {claim.says}", heads, rows, note, wide=True)


def _told(part: Part) -> str:
    name = part.name.removeprefix("all").strip() or "all"
    return f"{name}: {interval(part.estimate) if part.estimate.values else 'not run'}"


def _range(part: Part) -> str:
    if math.isinf(part.low):
        return f"below {part.high:g}"
    if math.isinf(part.high):
        return f"above {part.low:g}"
    return f"{part.low:g} to {part.high:g}"


def listing(seeds: int | None) -> Table:
    """What there is to reproduce, and how many networks each scale trains for it."""
    every = [(name, one.title, [one]) for name, one in EXPERIMENTS.items()]
    every.append(("all", "all of these; networks that they share once", [*EXPERIMENTS.values()]))
    rows = [
        (name, title, *(str(len(runs_of(held, scale, seeds))) for scale in SCALES.values()))
        for name, title, held in every
    ]
    for name, title in (
        ("table5", "ImageNet: printed as a recipe, not run"),
        ("slips", "slips of the paper, recalculated; trains nothing"),
        ("power", "seeds that claims need, by --from RECORDS; trains nothing"),
    ):
        rows.append((name, title, *"–" * len(SCALES)))
    told = ", ".join(
        f"{seeds or scale.seeds} ({name}{', some more' if scale.more_seeds and not seeds else ''})"
        for name, scale in SCALES.items()
    )
    note = f"Networks to train by scale, with these numbers of seeds: {told}."
    return table("", ("", "shows", *SCALES), rows, note)
