"""Channel by channel: the variance in training against that at test."""

from __future__ import annotations

import math

from varshift._draw.figures import figure, shortened
from varshift._draw.pictures.described import Cloud
from varshift._draw.pictures.svg.axes import level, one_in, upright
from varshift._draw.pictures.svg.canvas import Canvas, said
from varshift._draw.pictures.svg.drawing import svg
from varshift._draw.pictures.svg.scales import log

__all__: list[str] = []

_SIDE, _LEFT, _TOP, _MOST = 220.0, 58.0, 46.0, 512


@svg.register
def _(picture: Cloud, *, narrow: bool = False) -> Canvas:
    """One dot a channel; on the diagonal nothing shifts, below it test is the smaller."""
    step = max(math.ceil(len(picture.train) / _MOST), 1)
    train, test = picture.train[::step], picture.test[::step]
    canvas = Canvas(
        _LEFT + _SIDE + 14, _TOP + _SIDE + 44, picture.about, one_in(step, picture.caption)
    )
    both = [*train, *test]
    across = log(both, _LEFT, _LEFT + _SIDE)
    up = log(both, _TOP + _SIDE, _TOP)
    canvas.text(_LEFT, 16, shortened(picture.name, 32), "strong", hint=said(picture.name))
    level(canvas, across, _TOP, _TOP + _SIDE, "variance in training")
    canvas.text(4, _TOP - 10, "variance at test", "quiet")
    upright(canvas, up, _LEFT, _LEFT + _SIDE)
    canvas.line(_LEFT, _TOP + _SIDE, _LEFT + _SIDE, _TOP, "level")
    for index, (on, off) in enumerate(zip(train, test, strict=True)):
        x, y = across(on), up(off)
        if math.isfinite(x) and math.isfinite(y):
            told = f"channel {index * step}: training {figure(on, 3)}, test {figure(off, 3)}"
            canvas.dot(x, y, "cloud", size=2.6, hint=told)
    return canvas
