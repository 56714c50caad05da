"""A document laid out for a page: what the templates fill in, for one result or for two."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from varshift._draw.document import (
    Calculator,
    Document,
    Entries,
    Entry,
    Missing,
    Part,
    Section,
    Table,
    Tree,
)
from varshift._draw.page.changes import changed, part_of
from varshift._draw.page.prose import TextBlock, blocks
from varshift._draw.page.tables import lay_table
from varshift._draw.page.tree import axis, lay_tree
from varshift._draw.pictures.described import Depth, Picture
from varshift._draw.pictures.svg import compact, element, svg
from varshift._draw.pictures.svg.depth import BEYOND

__all__ = ["Drawn", "LaidSection", "View", "view_of", "view_of_two"]

_SMALL = 400  # units of width up to which pictures stand beside each other
_TOUCHED = 100  # marks with hints in a picture for a phone
_ENLARGED = 1.3  # pixels a unit where there is room for them


@dataclass(frozen=True)
class Pictured:
    """A picture as text: for a wide place, and for a narrow one where that differs."""

    about: str
    caption: str
    wide: str
    narrow: str
    width: float
    small: bool


@dataclass(frozen=True)
class Drawn:
    """One part of a section, and the template that draws it."""

    kind: Literal["picture", "table", "tree", "calculator", "entries"]
    part: object


@dataclass(frozen=True)
class LaidSection:
    """One chapter; `labels` stand above its parts where these are beside each other."""

    key: str
    title: str
    lead: str
    parts: Sequence[Drawn]
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class LaidEntry:
    """An entry, and what is folded in it as blocks."""

    entry: Entry
    folded: Sequence[TextBlock]


@dataclass(frozen=True)
class View:
    """All that stands on a page.

    Attributes:
        heads: one document, or two with what stands above them.
        document: the one whose advice and sections follow.
        sections: its chapters, the main picture first.
        notes: of both, where there are two.
        facts: what the page rests on.
        compared: how many of the sections are about both.
    """

    heads: Sequence[tuple[str, Document]]
    document: Document
    sections: Sequence[LaidSection]
    notes: Sequence[str]
    facts: Mapping[str, str]
    compared: int = 0

    @property
    def missing(self) -> Sequence[Missing]:
        """What other verbs would show."""
        return self.document.missing


def view_of(document: Document) -> View:
    """One result."""
    sections = [laid for section in _ordered(document) if (laid := _section(section, ()))]
    notes = list(dict.fromkeys(document.notes))
    return View([("", document)], document, sections, notes, document.facts)


def view_of_two(before: Document, after: Document) -> View:
    """Two results of one kind: what they share beside each other, then the rest of the later."""
    compared = list(_compared(before, after))
    shown = [after.picture, part_of(after, Tree)]
    later = [laid for section in _ordered(after) if (laid := _section(section, shown))]
    notes = dict.fromkeys(after.notes)
    notes |= dict.fromkeys(f"before: {note}" for note in before.notes if note not in notes)
    facts = dict(after.facts)
    for key, value in before.facts.items():
        if facts.get(key) != value:
            facts[f"{key}, before"] = value
    heads = [("before", before), ("after", after)]
    return View(heads, after, [*compared, *later], list(notes), facts, len(compared))


def _compared(before: Document, after: Document) -> Iterator[LaidSection]:
    table = changed(before, after)
    if table is not None:
        lead = "The same names in both; what changed most comes first."
        yield LaidSection("changed", "What changed", lead, [_drawn(table)])
    labels = ("before", "after")
    if before.picture is not None and after.picture is not None:
        pair = _alike(before.picture, after.picture)
        drawn = [_drawn(picture) for picture in pair]
        yield LaidSection("pictures", "Before and after", "", drawn, labels)
    trees = part_of(before, Tree), part_of(after, Tree)
    if trees[0] is not None and trees[1] is not None:
        scale = axis([*trees[0].leaves, *trees[1].leaves])
        drawn = [Drawn("tree", lay_tree(tree, scale)) for tree in trees if tree is not None]
        yield LaidSection("trees", "Norm by norm, before and after", "", drawn, labels)


def _alike(before: Picture, after: Picture) -> tuple[Picture, Picture]:
    """On one scale, so that eyes may compare them."""
    if not isinstance(before, Depth) or not isinstance(after, Depth):
        return before, after
    series = [*before.series, *after.series]
    values = [value for one in series for value in one.values if 0 < value < math.inf]
    if not values:
        return before, after
    least, most = min(values) / BEYOND, max(values) * BEYOND
    ends = [end for one in series for end in (*one.low, *one.high) if math.isfinite(end)]
    covers = [*values, *(min(max(end, least), most) for end in ends)]
    return replace(before, covers=covers), replace(after, covers=covers)


def _ordered(document: Document) -> Sequence[Section]:
    """The section with the main picture first; a picture that is in none makes its own."""
    picture, sections = document.picture, list(document.sections)
    if picture is None:
        return sections
    home = [section for section in sections if any(part is picture for part in section.parts)]
    if not home:
        return [Section("picture", picture.about, "", [picture]), *sections]
    return [home[0], *(section for section in sections if section is not home[0])]


def _section(section: Section, shown: Sequence[object]) -> LaidSection | None:
    """Without the parts that are shown elsewhere; None where nothing is left."""
    parts = [
        part
        for part in section.parts
        if not any(part is each for each in shown if each is not None)
    ]
    if section.parts and not parts:
        return None
    return LaidSection(section.key, section.title, section.lead, list(map(_drawn, parts)))


def _drawn(part: Part) -> Drawn:
    match part:
        case Table():
            return Drawn("table", lay_table(part))
        case Tree():
            return Drawn("tree", lay_tree(part))
        case Calculator():
            return Drawn("calculator", part)
        case Entries():
            return Drawn(
                "entries", [LaidEntry(entry, list(blocks(entry.folded))) for entry in part.entries]
            )
    return Drawn("picture", _pictured(part))


def _pictured(picture: Picture) -> Pictured:
    wide, narrow = svg(picture), svg(picture, narrow=True)
    differs = (narrow.width, narrow.height) != (wide.width, wide.height)
    return Pictured(
        wide.about,
        wide.caption,
        element(compact(wide)),
        # No finger hits the one mark of hundreds that is meant.
        element(compact(narrow, _TOUCHED)) if differs else "",
        _ENLARGED * wide.width,
        wide.width < _SMALL,
    )
