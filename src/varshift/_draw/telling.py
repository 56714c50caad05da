"""What every face of a document says alike: its head with the grade, what columns mean, its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from varshift._base import Result
from varshift._draw.document import Document, StepText, Table, Tone, harmless_table
from varshift._draw.documents import document
from varshift._visible import flat

__all__ = [
    "MOST",
    "UNMARKED",
    "between",
    "ends",
    "graded",
    "line",
    "meanings",
    "numbered_steps",
    "tables",
]

MOST = 25  # rows of a table where room is short; a result's to_dict() has all of them
UNMARKED: frozenset[Tone] = frozenset({"none", "known"})  # tones of rows that do not stand out
_REPR = 200  # characters of a sentence in a repr
_GRADES = {"none": "No shift", "mild": "Mild", "clear": "Clear", "severe": "Severe"}


def graded(made: Document) -> str:
    """The grade in a word, where the result has one."""
    return _GRADES.get(made.tone or "", "")


def between(made: Document) -> str:
    """What stands between head and detail: a head that is no sentence has a line of its own."""
    return " " if made.head.endswith((".", ":")) else "\n"


def line(result: Result) -> str:
    """What `repr` shows: the first sentence, and where the rest is."""
    made = document(result)
    head = flat(" ".join((made.head, made.detail)).strip())
    cut = head if len(head) <= _REPR else f"{head[:_REPR]}…"
    return f"<{type(result).__name__}: {cut} .table(), .to_frame()>"


def tables(made: Document, most: int = MOST) -> list[Table]:
    """Those for a narrow place, as many rows as it has room for, nothing in a name that moves."""
    return [harmless_table(_once(table.heaviest(most))) for table in made.tables() if table.rows]


def _once(table: Table) -> Table:
    """Of rows that belong together only the first has the name."""
    if not table.grouped:
        return table
    shown, last = [], ""
    for row in table.rows:
        first = row.cells[0]
        cells = [replace(first, text=first.text if first.text != last else ""), *row.cells[1:]]
        shown.append(replace(row, cells=cells))
        last = first.text
    return replace(table, rows=shown)


def meanings(shown: Iterable[Table]) -> list[str]:
    """For each table what its columns mean, each once, in one line; "" where there is nothing."""
    told: set[str] = set()
    lines = []
    for table in shown:
        fresh = [column for column in table.columns if column.meaning and column.name not in told]
        told |= {column.name for column in fresh}
        said = (f"{_capital(column.name)}: {column.meaning.rstrip('.')}." for column in fresh)
        lines.append(flat(" ".join(said)))
    return lines


def _capital(text: str) -> str:
    """Words begin with a capital letter; symbols and names of code stay as they are."""
    return text[:1].upper() + text[1:] if text[:1].isascii() and "_" not in text else text


def numbered_steps(steps: Iterable[StepText]) -> Iterator[tuple[str, list[str]]]:
    """What to do, one by one: the sentence with its gain, and the lines to copy."""
    for index, step in enumerate(steps, 1):
        gain = f" {step.gain}" if step.gain else ""
        lines = [*_folded(flat(step.line), ", ", ","), *_folded(flat(step.command), " --", " \\")]
        yield flat(f"{index}. {step.words}{gain}"), lines


def _folded(line: str, at: str, end: str, width: int = 74) -> Iterator[str]:
    r"""A line to copy over several that still run: Python's within brackets, a shell's at options.

    >>> list(_folded("varshift check net.py:make --data data.py:train", " --", " \\", 30))
    ['varshift check net.py:make \\', '    --data data.py:train']
    >>> list(_folded("vs.replace(model, example, 0.1)", ", ", ",", 20))
    ['vs.replace(model,', '    example, 0.1)']
    """
    first, *rest = line.split(at)
    held = first
    for piece in rest:
        if len(f"{held}{at}{piece}{end}") <= width:
            held += at + piece
        else:
            yield held + end
            held = f"    {at.lstrip(' ,')}{piece}"
    if held:
        yield held


def ends(made: Document) -> list[str]:
    """What else the figures mean, what comes next, and notes, each once."""
    notes = (f"note: {note}" for note in dict.fromkeys(made.notes))
    following = [made.following] if made.following else []
    return [flat(each) for each in (*made.meanings, *following, *notes)]
