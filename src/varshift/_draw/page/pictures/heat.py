"""Who is to blame where: sources across, places down, the share as the depth of a colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

from varshift._draw.figures import shortened
from varshift._draw.page.canvas import Canvas, said
from varshift._draw.page.pictures.axes import beside
from varshift.results import Blame, Figure

__all__ = ["heat"]

_TOP, _ROW, _STRONG = 104.0, 24.0, 0.8


def heat(blame: Blame, noises: Sequence[str], places: Sequence[str]) -> Canvas:
    """A cell for every source and place, as deep as its share; blank where no route leads."""
    left = beside(places)
    step = min(max((550.0) / max(len(noises), 1), 20.0), 84.0)
    about = "Share of each place's training variance that each noise source causes alone"
    width = max(left + step * len(noises) + 90, left + 380)
    bottom = _TOP + _ROW * len(places)
    canvas = Canvas(width, bottom + 44, about)
    most = max((abs(s.value) for s in blame.share.values() if math.isfinite(s.value)), default=0.0)
    for column, noise in enumerate(noises):
        x = left + step * (column + 0.5)
        words = shortened(noise, 18)
        canvas.text(x, _TOP - 8, words, turn=-38, hint=said(noise))
    for row, place in enumerate(places):
        y = _TOP + _ROW * row
        canvas.text(left - 10, y + 16, shortened(place, 24), anchor="end", hint=said(place))
        for column, noise in enumerate(noises):
            if (noise, place) in blame.share:
                share, x = blame.share[noise, place], left + step * column
                _cell(canvas, share, (noise, place), x, y, step, max(most, 1e-9))
            else:
                canvas.box(left + step * column, y, step - 2, _ROW - 2, "blank")
    _scale(canvas, left, bottom + 12, most)
    return canvas


def _cell(
    canvas: Canvas,
    share: Figure,
    pair: tuple[str, str],
    x: float,
    y: float,
    step: float,
    most: float,
) -> None:
    if not math.isfinite(share.value):
        told = said(pair[0], f"at {shortened(pair[1], 80)}: not known, nothing varies there")
        canvas.box(x, y, step - 2, _ROW - 2, "blank", hint=told)
        return
    error = f" ± {100 * share.se:.1f}" if share.se == share.se else ""
    told = said(pair[0], f"at {shortened(pair[1], 80)}: {100 * share.value:.1f}{error} %")
    role = "share" if share.value >= 0 else "share less"
    strength = abs(share.value) / most
    canvas.box(x, y, step - 2, _ROW - 2, role, depth=0.08 + 0.92 * strength, hint=told)
    if step >= 34:
        words = f"{round(100 * share.value)} %".replace("-", "−")
        canvas.text(x + step / 2 - 1, y + 16, words, _ink(strength), anchor="middle", hint=told)


def _ink(strength: float) -> str:
    """Dark on pale and pale on strong, where it has the contrast of 4.5 to 1 in both schemes."""
    return "on" if strength > _STRONG else "label"


def _scale(canvas: Canvas, left: float, y: float, most: float) -> None:
    """What the colours mean, from no share to the largest."""
    for step in range(20):
        canvas.box(left + 8 * step, y, 8, 10, "share", depth=0.08 + 0.92 * step / 19)
    canvas.text(left, y + 24, "0 %")
    canvas.text(left + 160, y + 24, f"{100 * most:.3g} %", anchor="end")
    canvas.box(left + 190, y, 22, 12, "blank")
    canvas.text(left + 220, y + 11, "no route, or not known")
