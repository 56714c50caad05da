"""Channel by channel: the variance in training against that at test."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from varshift._draw.figures import figure, shortened
from varshift._draw.page.canvas import Canvas, said
from varshift._draw.page.pictures.axes import level, upright
from varshift._draw.page.scales import log

__all__ = ["Cloud", "scatter"]

_SIDE, _LEFT, _TOP, _MOST = 220.0, 58.0, 46.0, 512


@dataclass(frozen=True)
class Cloud:
    """The channels of one norm."""

    name: str
    train: Tensor
    test: Tensor


def scatter(cloud: Cloud) -> Canvas:
    """One dot a channel; on the diagonal nothing shifts, below it test is the smaller."""
    step = math.ceil(len(cloud.train) / _MOST)
    train, test = cloud.train[::step].tolist(), cloud.test[::step].tolist()
    about = f"{cloud.name}: variance at test over variance in training, {len(train)} channels"
    canvas = Canvas(_LEFT + _SIDE + 14, _TOP + _SIDE + 44, shortened(about, 200))
    both = [*train, *test]
    across = log(both, _LEFT, _LEFT + _SIDE)
    up = log(both, _TOP + _SIDE, _TOP)
    canvas.text(_LEFT, 16, shortened(cloud.name, 32), "strong", hint=said(cloud.name))
    level(canvas, across, _TOP, _TOP + _SIDE, "variance in training")
    upright(canvas, up, _LEFT, _LEFT + _SIDE, "variance at test")
    canvas.line(_LEFT, _TOP + _SIDE, _LEFT + _SIDE, _TOP, "level")
    for index, (on, off) in enumerate(zip(train, test, strict=True)):
        x, y = across(on), up(off)
        if math.isfinite(x) and math.isfinite(y):
            told = f"channel {index * step}: training {figure(on, 3)}, test {figure(off, 3)}"
            canvas.dot(x, y, "cloud", size=2.6, hint=told)
    return canvas
