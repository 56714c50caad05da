"""Two results of one kind beside each other: what changed, norm by norm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeVar

from varshift._counting import counted
from varshift._draw.document import Cell, Column, Document, Leaf, Part, Row, Table, Tone, Tree

__all__ = ["changed", "part_of"]

_P = TypeVar("_P", Tree, Table)

_ORDER: Sequence[Tone] = ("none", "known", "good", "mild", "clear", "severe")
_FIGURES = 3  # columns of a table that are compared where there is no tree
_ALIKE = "alike"
_CHANGE = (
    "better: Δ is nearer to 1 than before, by more than 1 % and with intervals that do not touch; "
    "worse: it is further away; alike: neither is sure"
)
_LEAST = 0.01  # of log Δ


def changed(before: Document, after: Document) -> Table | None:
    """A row per norm that either has, what changed most first: grade and figures of both.

    Results without a tree are compared by the first table that both have. None where they share
    none.
    """
    trees = part_of(before, Tree), part_of(after, Tree)
    if trees[0] is not None and trees[1] is not None:
        return _of_trees(trees[0], trees[1])
    return _of_tables(before, after)


def part_of(document: Document, kind: type[_P]) -> _P | None:
    """The first part of that kind."""
    return next((part for part in _parts(document) if isinstance(part, kind)), None)


def _parts(document: Document) -> Iterator[Part]:
    return chain.from_iterable(section.parts for section in document.sections)


def _of_trees(before: Tree, after: Tree) -> Table:
    old, new = ({leaf.path: leaf for leaf in tree.leaves} for tree in (before, after))
    rows = [_norm(path, old.get(path), new.get(path)) for path in {**new, **old}]
    rows.sort(key=lambda row: (row.cells[1].text == _ALIKE, -row.weight))
    columns = [
        Column("norm", numeric=False),
        Column("change", _CHANGE, numeric=False),
        Column("grade before", numeric=False),
        Column("grade after", numeric=False),
        Column(f"{after.figure} before"),
        Column(f"{after.figure} after"),
    ]
    times = [str(row.cells[1]) for row in rows]
    told = ", ".join(f"{times.count(word)} {word}" for word in dict.fromkeys(times))
    return Table(f"{counted(len(rows), 'norm')}: {told}", columns, rows)


def _norm(path: str, old: Leaf | None, new: Leaf | None) -> Row:
    word = _word(old, new)
    tone: Tone = "good" if word == "better" else new.tone if new and word == "worse" else "none"
    cells = [
        Cell(path, "name"),
        Cell(word),
        *(Cell(leaf.tone if leaf else "—", sort=_rank(leaf)) for leaf in (old, new)),
        *(Cell(leaf.figure if leaf else "—") for leaf in (old, new)),
    ]
    return Row(cells, 0.0 if word == _ALIKE else _weight(old, new), tone)


def _word(old: Leaf | None, new: Leaf | None) -> str:
    if old is None or new is None:
        return "only after" if old is None else "only before"
    nearer = _size(old), _size(new)
    if not isinstance(nearer[0], float) or not isinstance(nearer[1], float):
        return "not known"
    step = math.log(nearer[1] / nearer[0])
    apart = new.low > old.high or new.high < old.low
    if not apart or abs(step) < _LEAST:
        return _ALIKE
    return "worse" if step > 0 else "better"


def _rank(leaf: Leaf | None) -> float | str:
    return float(_ORDER.index(leaf.tone)) if leaf else ""


def _size(leaf: Leaf | None) -> float | str:
    """How far Δ is from 1, whichever way."""
    known = leaf is not None and math.isfinite(leaf.shift) and leaf.shift > 0
    return max(leaf.shift, 1 / leaf.shift) if leaf is not None and known else ""


def _weight(old: Leaf | None, new: Leaf | None) -> float:
    sizes = [size for size in (_size(old), _size(new)) if isinstance(size, float)]
    return abs(math.log(sizes[1] / sizes[0])) if len(sizes) == 2 else 0.0


def _of_tables(before: Document, after: Document) -> Table | None:
    """By the first column of the first table whose headings are the same in both."""
    for table in (part for part in _parts(after) if isinstance(part, Table)):
        headings = [column.name for column in table.columns]
        for other in (part for part in _parts(before) if isinstance(part, Table)):
            if headings == [column.name for column in other.columns] and headings:
                return _joined(other, table)
    return None


def _joined(before: Table, after: Table) -> Table:
    shown = [index for index, column in enumerate(after.columns) if index and column.numeric]
    shown = shown[:_FIGURES]
    columns = [after.columns[0]]
    for index in shown:
        heading = after.columns[index]
        columns += [
            Column(f"{heading.name} {when}", heading.meaning) for when in ("before", "after")
        ]
    old, new = ({str(row.cells[0]): row for row in table.rows} for table in (before, after))
    rows = []
    for key in {**new, **old}:
        pair = old.get(key), new.get(key)
        first = next(row for row in reversed(pair) if row is not None).cells[0]
        cells = [
            Cell("—", sort="") if row is None else row.cells[index]
            for index in shown
            for row in pair
        ]
        rows.append(Row([first, *cells], tone=pair[1].tone if pair[1] else "none"))
    return Table(after.title, columns, rows)
