"""A total taken apart into factors, norm by norm: a bar each, from 1, by equal factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from varshift._draw.figures import figure, shortened
from varshift._draw.page.canvas import Canvas, said
from varshift._draw.page.pictures.axes import beside, legend, level
from varshift._draw.page.scales import log

__all__ = ["Factor", "factor_bars"]

_TOP, _WIDE, _THICK = 34.0, 550.0, 7.0


@dataclass(frozen=True)
class Factor:
    """One factor at every norm."""

    role: str
    label: str
    values: Sequence[float]


def factor_bars(
    names: Sequence[str], total: Sequence[float], factors: Sequence[Factor], about: str
) -> Canvas:
    """The bars of a norm multiply to the diamond beside them, its total."""
    left, width = beside(names), beside(names) + _WIDE
    row = _THICK * len(factors) + 9
    bottom = _TOP + row * len(names)
    every = [1.0, *total, *(value for factor in factors for value in factor.values)]
    across = log(every, left, width - 20)
    canvas = Canvas(width, bottom + 44, about)
    level(canvas, across, _TOP, bottom, "times the stored variance")
    for index, name in enumerate(names):
        top = _TOP + row * index + 4.5
        middle = top + _THICK * len(factors) / 2
        canvas.text(left - 10, middle + 4, shortened(name, 24), anchor="end", hint=said(name))
        for place, factor in enumerate(factors):
            ends = sorted((across(1.0), across(factor.values[index])))
            told = said(name, f"{factor.label} × {figure(factor.values[index], 4)}")
            if all(map(math.isfinite, ends)):
                y = top + _THICK * place
                wide = max(ends[1] - ends[0], 1.0)
                canvas.box(ends[0], y, wide, _THICK - 1.5, factor.role, hint=told)
        if math.isfinite(across(total[index])):
            told = said(name, f"total × {figure(total[index], 4)}")
            canvas.dot(across(total[index]), middle, "total", size=4.5, hint=told)
    canvas.line(across(1.0), _TOP, across(1.0), bottom, "level")
    entries = [*((factor.role, factor.label) for factor in factors), ("total", "total")]
    legend(canvas, entries, left, 16)
    return canvas
