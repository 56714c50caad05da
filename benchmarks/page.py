"""`python -m benchmarks page` writes docs/benchmarks.md, and pages beside it, from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.ledger import Ledger
from benchmarks.lines import Line
from benchmarks.markdown_tables import head, row
from benchmarks.names import SECTIONS, STUDIES

__all__ = ["run", "written"]

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """<!-- written by `python -m benchmarks page` from results/benchmarks.json -->
# Speed and accuracy

What this documentation claims of speed and accuracy, measured, beside the tools that people use for
the same. `make bench` runs every section whose code has changed since, `python -m benchmarks NAME`
one of them, and `python -m benchmarks guard` says which of the quick ratios have grown against this
page.

Times are CPU time. What is compared runs in turn in one process, and a ratio is taken round by
round: its median stands here, with the least and the most of the rounds. Other work shared the
cores while this was made, and spreads show it: *load* is how many processes the machine was
running, in the mean, when a section began. Aims were set before the work; a missed one stays here
until it is met.
"""
STUDIED = """## Studies with pages of their own

These take from minutes to hours, and their figures stand where they are discussed.

| what | figures | command |
|---|---|---|
"""


def run(console: Console, only: str = "") -> Iterable[Line]:
    """All pages, from what the ledger holds."""
    for path, text in written(Ledger()).items():
        (DOCS / path).write_text(text, encoding="utf-8")
        console.print(f"wrote docs/{path}", highlight=False)
    return ()


def written(ledger: Ledger) -> dict[str, str]:
    """The text of every page, by its place in docs."""
    parts, pages = [HEAD], {}
    parts.append(_summary(ledger))
    for name in SECTIONS:
        section = import_module(f"benchmarks.{name}")
        lines = ledger.lines(name)
        own = getattr(section, "PAGE", None)
        body = "\n".join(_body(name, section.__doc__, lines, ledger.made(name)))
        if own:
            pages[own] = (
                f"<!-- written by `python -m benchmarks {name}` -->\n# {section.TITLE}\n\n{body}"
            )
            reached = sum(not line.missed for line in lines)
            body = f"{reached} of {len(lines)} lines hold: [the table]({own}).\n"
        parts.append(f"## {section.TITLE}\n\n{body}")
    studies = "".join(
        f"| {what} | [{page}]({page}) | `python -m benchmarks {name}` |\n"
        for name, (what, page) in STUDIES.items()
    )
    pages["benchmarks.md"] = "\n".join([*parts, STUDIED + studies])
    return pages


def _summary(ledger: Ledger) -> str:
    """The missed aims of all sections, first of all."""
    missed = [
        f"* {import_module(f'benchmarks.{name}').TITLE}: {_joined(line.table, line.name)}, "
        f"{_figure(line)} where {line.aim} was wanted"
        for name in SECTIONS
        for line in ledger.lines(name)
        if line.missed
    ]
    return "## Missed aims\n\n" + "\n".join(missed or ["None."]) + "\n"


def _joined(*names: str) -> str:
    return ", ".join(name for name in names if name)


def _figure(line: Line) -> str:
    """The figure that an aim is about: the last."""
    return str(list(line.cells.values())[-1])


def _body(name: str, intro: str, lines: list[Line], made: dict[str, Any]) -> Iterator[str]:
    yield f"{intro.strip()}\n"
    for table in dict.fromkeys(line.table for line in lines):
        if table:
            yield f"**{table}**\n"
        yield from _table([line for line in lines if line.table == table])
        yield ""
    yield f"{_told(made)} `python -m benchmarks {name}`\n" if made else "Not run yet.\n"


def _table(lines: list[Line]) -> Iterator[str]:
    headings = list(dict.fromkeys(heading for line in lines for heading in line.cells))
    aims = ["aim", "reached"] if any(line.aim for line in lines) else []
    yield head("", *headings, *aims)
    for line in lines:
        cells = [str(line.cells.get(heading, "")) for heading in headings]
        if aims:
            cells += [line.aim, line.aim and ("**no**" if line.missed else "yes")]
        yield row(line.name, *cells)


def _told(made: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in made["packages"].items())
    return (
        f"{made['date']}, Python {made['python']}, {packages}; {made['processor']} "
        f"({made['instructions']}), {made['threads']} of {made['cores']} cores, "
        f"load {made['load']}."
    )
