"""Documents as tests read them: tables by title, rows by the names of their columns."""

from __future__ import annotations

from varshift._draw.document import Table


def tables(made):
    """All tables, the wide ones too, by title."""
    return {
        part.title: part
        for section in made.sections
        for part in section.parts
        if isinstance(part, Table)
    }


def table(made, title):
    """The one table whose title begins so."""
    (found,) = [held for name, held in tables(made).items() if name.startswith(title)]
    return found


def texts(held):
    """Each row as a dict of what is written, by column."""
    names = [column.name for column in held.columns]
    return [dict(zip(names, map(str, row.cells), strict=True)) for row in held.rows]


def section(made, key):
    """The section of that key."""
    (found,) = [one for one in made.sections if one.key == key]
    return found
