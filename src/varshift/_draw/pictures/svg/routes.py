"""Which noise reaches which norm: sources to the left, norms to the right, a line per bundle."""

from __future__ import annotations

from collections.abc import Sequence

from varshift._draw.figures import shortened
from varshift._draw.pictures.described import Routes
from varshift._draw.pictures.placing import LINE, Box, wide
from varshift._draw.pictures.svg.axes import beside, room
from varshift._draw.pictures.svg.canvas import Canvas, said
from varshift._draw.pictures.svg.drawing import svg

__all__: list[str] = []

Point = tuple[float, float]

_ROW, _TOP = 24.0, 44.0
_END = 12.0  # units between a dot and its words
_WAYS = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)  # along a line, where its count may stand


@svg.register
def _(picture: Routes, *, narrow: bool = False) -> Canvas:
    """Sources and norms spread over the height, with the count of each bundle on its line."""
    bundles = picture.bundles
    sources = list(dict.fromkeys(bundle.source for bundle in bundles))
    norms = list(dict.fromkeys(bundle.norm for bundle in bundles))
    most = 14 if narrow else 28
    left = {name: _source(name, picture.rates.get(name, ""), most) for name in sources}
    right = {name: _norm(name, picture.severities.get(name), most) for name in norms}
    titles = "noise, rate", "norm, severity" if picture.severities else "norm"
    here = beside([*left.values(), titles[0]], 60)
    after = beside([*right.values(), titles[1]], 60)
    width = room(narrow, max(here + after + 170.0, 560.0))
    there = max(width - after, here + 40)
    rows = max(len(sources), len(norms))
    canvas = Canvas(width, _TOP + _ROW * rows + 60, picture.about, picture.caption)
    canvas.text(here - _END, 20, titles[0], "strong", anchor="end")
    canvas.text(there + _END, 20, titles[1], "strong")
    starts = {name: (here, y) for name, y in _heights(sources, rows).items()}
    ends = {name: (there, y) for name, y in _heights(norms, rows).items()}
    for bundle in bundles:
        told = said(f"{bundle.source} → {bundle.norm}", f"({bundle.placement}) {bundle.through}")
        role = f"route {bundle.placement}"
        canvas.bow(starts[bundle.source], ends[bundle.norm], role, hint=told)
    _counts(canvas, [(b.count, starts[b.source], ends[b.norm]) for b in bundles])
    for name, (x, y) in starts.items():
        hint = said(name, picture.hints.get(name, ""))
        canvas.text(x - _END, y + 4, left[name], anchor="end", hint=hint)
        canvas.dot(x, y, "train", size=5, hint=hint)
    for name, (x, y) in ends.items():
        hint = said(name, picture.hints.get(name, ""))
        grade = picture.grades.get(name)
        canvas.text(x + _END, y + 4, right[name], hint=hint)
        canvas.dot(x, y, f"grade-{grade}" if grade else "stored", size=5, hint=hint)
    _key(canvas, _TOP + _ROW * rows + 26)
    return canvas


def _source(name: str, rate: str, most: int) -> str:
    return f"{shortened(name, most)}  {rate}".rstrip()


def _norm(name: str, severity: float | None, most: int) -> str:
    if severity is None or severity != severity:
        return shortened(name, most)
    return f"{shortened(name, most)}  {brief(severity)}"


def brief(severity: float) -> str:
    """A severity beside a name: as many digits as tell something.

    >>> brief(1.0482), brief(46.28), brief(886.2), brief(2.1e15)
    ('1.05', '46.3', '886', '> 1e6')
    """
    if severity >= 1e6:
        return "> 1e6"
    return f"{severity:.{2 if severity < 10 else 1 if severity < 100 else 0}f}"


def _heights(names: Sequence[str], rows: int) -> dict[str, float]:
    """Spread evenly over the height of the longer side."""
    step = _ROW * rows / max(len(names), 1)
    return {name: _TOP + step * (index + 0.5) for index, name in enumerate(names)}


def _counts(canvas: Canvas, lines: Sequence[tuple[int, Point, Point]]) -> None:
    """How many routes a line stands for, on the line, where no other count is."""
    taken: list[Box] = []
    for count, start, end in lines:
        if count == 1:
            continue
        words = f"×{count}"
        half = wide(words) / 2 + 2
        for share in _WAYS:
            x, y = _along(start, end, share)
            box = Box(x - half, y - 9, x + half, y + 7)
            if not any(box.meets(other) for other in taken):
                taken.append(box)
                canvas.text(x, y + 4, words, "count", anchor="middle")
                break


def _along(start: Point, end: Point, share: float) -> Point:
    """A point of the curve that `Canvas.bow` draws."""
    rest = 1 - share
    first, last = rest**3 + 3 * rest**2 * share, share**3 + 3 * rest * share**2
    middle = (start[0] + end[0]) / 2
    x = rest**3 * start[0] + 3 * rest * share * middle + share**3 * end[0]
    return x, first * start[1] + last * end[1]


def _key(canvas: Canvas, y: float) -> None:
    for row, role, words in (
        (0, "route a", "(a) straight into the norm"),
        (1, "route b", "(b) through weights"),
    ):
        canvas.line(4, y + LINE * row - 4, 40, y + LINE * row - 4, role)
        canvas.text(48, y + LINE * row, words)
