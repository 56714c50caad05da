"""A document as Markdown: for a page in a repository, with its pictures in files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varshift._draw.document import Document, Part, Section, Table, harmless_table
from varshift._draw.pictures.described import Picture
from varshift._visible import flat

__all__ = ["markdown", "pictures"]


def markdown(made: Document) -> str:
    """Head, what is to be known of it, what to do, and every section with all of its tables.

    A picture is a link to the file that `pictures` names.
    """
    blocks = [f"# {flat(made.head)}", flat(made.detail), *map(flat, made.notes)]
    for step in made.steps:
        blocks += [flat(step.words), *(f"```\n{line}\n```" for line in (step.line, step.command))]
    for section in made.sections:
        blocks += [f"## {flat(section.title)}" if section.title else "", flat(section.lead)]
        blocks += [block for part in section.parts for block in _part(section, part)]
    return "\n\n".join(block for block in blocks if block.strip("`\n")) + "\n"


def pictures(made: Document) -> Iterator[tuple[str, Picture]]:
    """The names of the files that the page links to, and what each shows: one a section."""
    for section in made.sections:
        for part in section.parts:
            if isinstance(part, Picture):
                yield _file(section), part


def _part(section: Section, part: Part) -> Iterator[str]:
    if isinstance(part, Table):
        yield from _table(harmless_table(part))
    elif isinstance(part, Picture):
        yield f"![{flat(part.about)}]({_file(section)})"


def _file(section: Section) -> str:
    return f"{section.key}.png"


def _table(held: Table) -> Iterator[str]:
    yield f"### {held.title}"
    lines = [[column.name for column in held.columns], ["---"] * len(held.columns)]
    lines += [list(map(str, row.cells)) for row in held.rows]
    yield "\n".join(map(_line, lines))
    yield from held.below


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
