"""Who is to blame where: sources across, places down, the share as the depth of a colour."""

from __future__ import annotations

from collections.abc import Sequence

from varshift.explain import Blame
from varshift.report.figures import shortened
from varshift.report.page.canvas import Canvas, said
from varshift.report.page.pictures.axes import beside

__all__ = ["heat"]

_TOP, _ROW = 104.0, 24.0


def heat(blame: Blame, noises: Sequence[str], places: Sequence[str]) -> Canvas:
    """A cell for every source and place; blank where no route leads."""
    left = beside(places)
    step = min(max((550.0) / max(len(noises), 1), 20.0), 84.0)
    about = "Share of each place's training variance that each noise source causes alone"
    width = left + step * len(noises) + 90
    canvas = Canvas(width, _TOP + _ROW * len(places) + 12, about)
    for column, noise in enumerate(noises):
        x = left + step * (column + 0.5)
        words = shortened(noise, 18)
        canvas.text(x, _TOP - 8, words, turn=-38, hint=said(noise))
    for row, place in enumerate(places):
        y = _TOP + _ROW * row
        canvas.text(left - 10, y + 16, shortened(place, 24), anchor="end", hint=said(place))
        for column, noise in enumerate(noises):
            if (noise, place) in blame.share:
                _cell(canvas, blame, (noise, place), left + step * column, y, step)
            else:
                canvas.box(left + step * column, y, step - 2, _ROW - 2, "blank")
    return canvas


def _cell(
    canvas: Canvas, blame: Blame, pair: tuple[str, str], x: float, y: float, step: float
) -> None:
    share = blame.share[pair]
    error = f" ± {100 * share.se:.1f}" if share.se == share.se else ""
    told = said(pair[0], f"at {shortened(pair[1], 80)}: {100 * share.value:.1f}{error} %")
    role = "share" if share.value >= 0 else "share less"
    canvas.box(x, y, step - 2, _ROW - 2, role, depth=0.06 + 0.94 * abs(share.value), hint=told)
    if step >= 34:
        words = f"{round(100 * share.value)} %".replace("-", "−")
        ink = "on" if abs(share.value) > 0.55 else "label"
        canvas.text(x + step / 2 - 1, y + 16, words, ink, anchor="middle")
