"""Sheets, and the list of experiments, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from varshift.reproduce.experiments import EXPERIMENTS, Experiment, runs_of
from varshift.reproduce.scales import SCALES
from varshift.reproduce.sheet import PAPER_ROW, Sheet

__all__ = ["drawn", "listing"]


def drawn(sheets: Iterable[Sheet]) -> RenderableType:
    """One table after the other, notes below each."""
    return Group(*(part for sheet in sheets for part in (*_parts(sheet), Text(""))))


def _parts(sheet: Sheet) -> list[RenderableType]:
    table = Table(
        title=sheet.title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for number, heading in enumerate(sheet.headings):
        table.add_column(
            heading,
            header_style="dim",
            overflow="fold",
            no_wrap=not number and all(len(row[0]) < 20 for row in sheet.rows),
            justify="right" if number and _numeric(sheet, number) else "left",
        )
    for row in sheet.rows:
        # Printed figures stand back behind the measured ones.
        table.add_row(*row, style="dim" if row[0] == PAPER_ROW else None)
    return [table, *(Text(note, style="dim") for note in sheet.notes)]


def _numeric(sheet: Sheet, column: int) -> bool:
    """Whether a column holds figures: short cells, most of them with a digit."""
    cells = [row[column] for row in sheet.rows]
    return all(len(cell) < 20 for cell in cells) and any(c[:1].isdigit() for c in cells)


def listing(seeds: int | None) -> RenderableType:
    """What there is to reproduce, and how many networks each scale trains for it."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("shows")
    for scale in SCALES:
        table.add_column(scale, justify="right")
    for name, experiment in EXPERIMENTS.items():
        counts = _counts([experiment], seeds)
        table.add_row(name, experiment.title, *map(str, counts))
    every = _counts(list(EXPERIMENTS.values()), seeds)
    table.add_row("all", "all of these; networks that they share once", *map(str, every))
    table.add_row("table5", "ImageNet: printed as a recipe, not run", *"–" * len(SCALES))
    table.add_row("slips", "slips of the paper, recalculated; trains nothing", *"–" * len(SCALES))
    power = "seeds that claims need, by --from RECORDS; trains nothing"
    table.add_row("power", power, *"–" * len(SCALES))
    told = ", ".join(
        f"{seeds or scale.seeds} ({name}{', some more' if scale.more_seeds and not seeds else ''})"
        for name, scale in SCALES.items()
    )
    return Group(table, Text(f"Networks to train by scale, with these numbers of seeds: {told}."))


def _counts(experiments: list[Experiment], seeds: int | None) -> list[int]:
    return [len(runs_of(experiments, scale, seeds)) for scale in SCALES.values()]
