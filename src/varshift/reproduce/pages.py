"""Everything that follows from records, written into a folder: page, pictures, JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from varshift._files import replacing
from varshift.reproduce.book import Book
from varshift.reproduce.claims import judged
from varshift.reproduce.experiments import Experiment
from varshift.reproduce.plots import draw
from varshift.reproduce.records import write_lines
from varshift.reproduce.sheet import Sheet
from varshift.reproduce.slips import slip_sheet
from varshift.reproduce.tables import sheets_of
from varshift.reproduce.tables.beyond import budget, footprints, provenance
from varshift.reproduce.tables.verdicts import detail_sheet, verdict_sheet

__all__ = ["sheets", "write_page"]

SMOKE = (
    "**A smoke run shows that everything runs. Its networks are toys: its verdicts say nothing.**"
)


def sheets(experiments: Sequence[Experiment], book: Book) -> dict[str, list[Sheet]]:
    """The tables of each experiment, by its name."""
    return {one.name: sheets_of(one.name, book) for one in experiments}


def write_page(
    experiments: Sequence[Experiment], book: Book, folder: Path, *, scale: str, again: str
) -> Path:
    """README.md with every table and verdict, a picture per experiment, records.jsonl.

    `again` is the command that makes the page from the records; it stands at its top.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(folder / "records.jsonl", (*book.records, *book.failed))
    whole = [book.only(data) for data in book.sets] or [book]
    verdicts = [(one, judged(one)) for one in whole]
    parts = [
        f"<!-- written by `{again}` -->",
        f"# The paper's tables and figures at scale {scale}",
        *([SMOKE] if scale == "smoke" else []),
        *(f"Not trained: {one['label']}. {one['failed']}" for one in book.failed),
        "Rebuilt from records.jsonl by:",
        f"```\n{again}\n```",
        *(verdict_sheet(told, _name(one)).markdown() for one, told in verdicts),
    ]
    for experiment in experiments:
        parts.append(f"## {experiment.name}: {experiment.title}")
        for one in whole:
            picture = _picture(experiment.name, one, book)
            draw(experiment.name, one, folder / picture)
            parts.append(f"![{experiment.title}]({picture})")
        parts += [sheet.markdown() for sheet in sheets_of(experiment.name, book)]
    parts.append("## Beyond the paper")
    parts += [sheet.markdown() for sheet in (*footprints(book), *budget(book))]
    for one, told in verdicts:
        parts.append(f"## Claims in detail, {_name(one)}")
        parts += [detail_sheet(verdict).markdown() for verdict in told]
    parts += ["## Slips", slip_sheet().markdown(), provenance(book).markdown()]
    path = folder / "README.md"
    with replacing(path) as fresh:
        fresh.write_text("\n\n".join(part.strip() for part in parts) + "\n", "utf-8")
    return path


def _name(book: Book) -> str:
    return book.named(book.sets[0]) if book.sets else "nothing run"


def _picture(name: str, one: Book, book: Book) -> str:
    """The first set's pictures go by the experiment's name alone."""
    first = not book.sets or one.sets == book.sets[:1]
    return f"{name}.png" if first else f"{name}-{one.sets[0]}.png"
