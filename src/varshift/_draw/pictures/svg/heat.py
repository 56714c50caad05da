"""Who is to blame where: sources across, places down, the share as the depth of a colour."""

from __future__ import annotations

import math

from varshift._draw.figures import shortened
from varshift._draw.pictures.described import Heat
from varshift._draw.pictures.placing import wide
from varshift._draw.pictures.svg.axes import beside, room
from varshift._draw.pictures.svg.canvas import Canvas, said
from varshift._draw.pictures.svg.drawing import svg

__all__: list[str] = []

_ROW, _STRONG = 24.0, 0.8
_SLANT, _NAME = 38.0, 18
_WRITTEN = 34.0  # units of a cell that a share is written in
_SLANTED = 20.0  # units between columns that slanted names need


@svg.register
def _(picture: Heat, *, narrow: bool = False) -> Canvas:
    """A cell for every source and place, as deep as its share; blank where no route leads."""
    names = 14 if narrow else 24
    left = beside(picture.places, names)
    over, up = _slanted(picture)
    room_for_cells = room(narrow, left + 550 + over) - left - over
    step = min(max(room_for_cells / max(len(picture.sources), 1), 2.0), 84.0)
    width = room(narrow, max(left + step * len(picture.sources) + over, left + 380))
    top = up + 16
    bottom = top + _ROW * len(picture.places)
    canvas = Canvas(width, bottom + 60, picture.about, picture.caption)
    shares = [abs(share) for share, _ in picture.shares.values() if math.isfinite(share)]
    most = max(shares, default=0.0)
    every = math.ceil(_SLANTED / step)
    for column, source in enumerate(picture.sources):
        if column % every == 0:
            x = left + step * (column + 0.5)
            canvas.text(x, top - 8, shortened(source, _NAME), turn=-_SLANT, hint=said(source))
    for row, place in enumerate(picture.places):
        y = top + _ROW * row
        words = shortened(place, names)
        canvas.text(left - 10, y + 16, words, anchor="end", hint=said(place))
        for column, source in enumerate(picture.sources):
            x = left + step * column
            known = picture.shares.get((source, place))
            _cell(canvas, known, (source, place), (x, y, step), max(most, 1e-9))
    _key(canvas, left if not narrow else 4.0, bottom + 12, most)
    return canvas


def _slanted(picture: Heat) -> tuple[float, float]:
    """How far the names above the cells reach to the right and up."""
    longest = max((wide(shortened(name, _NAME)) for name in picture.sources), default=0.0)
    angle = math.radians(_SLANT)
    return longest * math.cos(angle) + 8, longest * math.sin(angle) + 12


def _cell(
    canvas: Canvas,
    known: tuple[float, float] | None,
    pair: tuple[str, str],
    place: tuple[float, float, float],
    most: float,
) -> None:
    x, y, step = place
    gap = min(2.0, 0.2 * step)
    if known is None:
        canvas.box(x, y, step - gap, _ROW - 2, "blank")
        return
    share, se = known
    if not math.isfinite(share):
        told = said(pair[0], f"at {shortened(pair[1], 80)}: not known, nothing varies there")
        canvas.box(x, y, step - gap, _ROW - 2, "blank", hint=told)
        return
    error = f" ± {100 * se:.1f}" if se == se else ""
    told = said(pair[0], f"at {shortened(pair[1], 80)}: {100 * share:.1f}{error} %")
    role = "share" if share >= 0 else "share less"
    strength = abs(share) / most
    canvas.box(x, y, step - gap, _ROW - 2, role, depth=0.08 + 0.92 * strength, hint=told)
    words = f"{round(100 * share)} %".replace("-", "−")
    if step >= max(_WRITTEN, wide(words) + 4):
        ink = _ink(strength)
        canvas.text(x + step / 2 - 1, y + 16, words, ink, anchor="middle", hint=told)


def _ink(strength: float) -> str:
    """Dark on pale and pale on strong, where it has the contrast of 4.5 to 1 in both schemes."""
    return "on" if strength > _STRONG else "label"


def _key(canvas: Canvas, left: float, y: float, most: float) -> None:
    """What the colours mean, from no share to the largest."""
    for step in range(20):
        canvas.box(left + 6 * step, y, 6, 10, "share", depth=0.08 + 0.92 * step / 19)
    canvas.text(left, y + 24, "0 %")
    canvas.text(left + 120, y + 24, f"{100 * most:.3g} %", anchor="end")
    canvas.box(left + 150, y, 22, 12, "blank")
    canvas.text(left + 180, y + 11, "no route, or not known")
