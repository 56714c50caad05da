"""Channel by channel: what is stored beyond the rest, against what noise would add."""

from __future__ import annotations

import math

from varshift._draw.figures import figure, shortened
from varshift._draw.pictures.described import Pattern
from varshift._draw.pictures.placing import wide
from varshift._draw.pictures.svg.axes import level, one_in, upright
from varshift._draw.pictures.svg.canvas import Canvas, said
from varshift._draw.pictures.svg.drawing import svg
from varshift._draw.pictures.svg.scales import Scale, linear

__all__: list[str] = []

_SIDE, _LEFT, _TOP, _MOST = 220.0, 58.0, 66.0, 300
_SAMPLE = 22.0  # units of a line beside its word


@svg.register
def _(picture: Pattern, *, narrow: bool = False) -> Canvas:
    """One dot a channel; noise of τ makes them a line through the origin with slope τ."""
    step = max(math.ceil(len(picture.lever) / _MOST), 1)
    lever, excess = picture.lever[::step], picture.excess[::step]
    canvas = Canvas(
        _LEFT + _SIDE + 14, _TOP + _SIDE + 44, picture.about, one_in(step, picture.caption)
    )
    across = linear([0.0, *lever], _LEFT, _LEFT + _SIDE)
    up = linear([0.0, *excess], _TOP + _SIDE, _TOP)
    canvas.text(_LEFT, 16, shortened(picture.name, 32), "strong", hint=said(picture.name))
    _key(canvas, picture)
    level(canvas, across, _TOP, _TOP + _SIDE, "a unit of τ adds (of v)")
    canvas.text(4, _TOP - 10, "stored in excess (of v)", "quiet")
    upright(canvas, up, _LEFT, _LEFT + _SIDE, 0.0)
    canvas.line(_LEFT, up(0.0), _LEFT + _SIDE, up(0.0), "axis")
    for x, y in zip(lever, excess, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            told = f"a unit of τ adds {figure(x, 3)}, stored in excess {figure(y, 3)}"
            canvas.dot(across(x), up(y), "cloud", size=2.6, hint=told)
    for end in (picture.low, picture.high):
        _ray(canvas, across, up, end, "slope end")
    _ray(canvas, across, up, picture.tau, "slope")
    return canvas


def _key(canvas: Canvas, one: Pattern) -> None:
    """What the lines are, above the picture."""
    x = _LEFT
    for role, words in (("slope", f"τ {figure(one.tau, 3)}"), ("slope end", "its interval")):
        canvas.line(x, 30, x + _SAMPLE, 30, role)
        canvas.text(x + _SAMPLE + 6, 34, words)
        x += _SAMPLE + 24 + wide(words)


def _ray(canvas: Canvas, across: Scale, up: Scale, slope: float, role: str) -> None:
    """From the origin to the right, as far as the picture goes."""
    if not math.isfinite(slope):
        return
    border = up.high if slope > 0 else up.low
    end = min(across.high, border / slope) if slope else across.high
    told = f"slope {figure(slope, 3)}, drop_p {figure(slope / (1 + slope), 3)}"
    canvas.line(across(0.0), up(0.0), across(end), up(slope * end), role, hint=told)
