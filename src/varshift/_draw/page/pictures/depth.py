"""What becomes of a figure from norm to norm: the picture that shows the disease."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._draw.figures import figure, shortened
from varshift._draw.page.canvas import Canvas, said
from varshift._draw.page.pictures.axes import MANY, Columns, legend
from varshift._draw.page.scales import Scale, log

__all__ = ["Series", "boxes", "by_depth"]

_TOP, _HIGH = 48.0, 250.0
_LINED = 9.0  # units between norms, below which lines would fill the picture


@dataclass(frozen=True)
class Series:
    """One figure per norm; `low` and `high` are its band, where there is one."""

    role: str
    label: str
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def by_depth(
    names: Sequence[str],
    series: Sequence[Series],
    label: str,
    about: str,
    *,
    reference: float | None = None,
    gap: bool = False,
    named: Sequence[int] = (),
) -> Canvas:
    """Lines over the norms; `gap` ties the last two together, `reference` draws a level.

    `named` norms have their names beside their dots where there are too many to name all.
    """
    columns = Columns(names, _TOP, _HIGH)
    drawn = [value for one in series for value in (*one.values, *one.low, *one.high)]
    scale = _scale([*drawn, *([] if reference is None else [reference])], columns)
    canvas = Canvas(columns.width, columns.height, about)
    columns.draw(canvas, scale, label, reference)
    if reference is not None:
        y = scale(reference)
        canvas.line(columns[0] - columns.step / 2, y, columns.width - 16, y, "level")
    if gap:
        _gaps(canvas, columns, scale, series[-2], series[-1])
    for one in series:
        _one(canvas, columns, scale, one)
    if named and len(names) > MANY:
        _named(canvas, columns, scale, series[-1], named)
    if len(series) > 1:
        legend(canvas, [(one.role, one.label) for one in series], 4, 16)
    return canvas


def boxes(names: Sequence[str], channels: Sequence[Tensor], label: str, about: str) -> Canvas:
    """Per norm how its channels scatter: 5 to 95 %, the middle half, and the median."""
    spread = [_quantiles(values) for values in channels]
    columns = Columns(names, _TOP, _HIGH)
    scale = _scale([1.0, *(value for five in spread for value in five)], columns)
    canvas = Canvas(columns.width, columns.height, about)
    columns.draw(canvas, scale, label)
    level = scale(1.0)
    canvas.line(columns[0] - columns.step / 2, level, columns.width - 16, level, "level")
    half = min(columns.step * 0.35, 12.0)
    for index, five in enumerate(spread):
        if not all(map(math.isfinite, five)):
            continue
        x, ys = columns[index], [scale(value) for value in five]
        told = said(
            names[index],
            f"median {figure(five[2], 3)}",
            f"middle half of the channels {figure(five[1], 3)} to {figure(five[3], 3)}",
        )
        canvas.line(x, ys[0], x, ys[4], "whisker")
        canvas.box(x - half, ys[3], 2 * half, max(ys[1] - ys[3], 1.0), "middle", hint=told)
        canvas.line(x - half, ys[2], x + half, ys[2], "median")
    return canvas


def _scale(values: Sequence[float], columns: Columns) -> Scale:
    return log(values, columns.bottom, columns.top)


def _gaps(canvas: Canvas, columns: Columns, scale: Scale, one: Series, other: Series) -> None:
    for index, (first, second) in enumerate(zip(one.values, other.values, strict=True)):
        ends = scale(first), scale(second)
        if all(map(math.isfinite, ends)):
            canvas.line(columns[index], ends[0], columns[index], ends[1], "gap")


def _one(canvas: Canvas, columns: Columns, scale: Scale, one: Series) -> None:
    places = [(columns[index], scale(value)) for index, value in enumerate(one.values)]
    if columns.step > _LINED:
        canvas.path(places, f"{one.role} trace")
    for index, (low, high) in enumerate(zip(one.low, one.high, strict=True)):
        ends = scale(low), scale(high)
        if all(map(math.isfinite, ends)):
            canvas.line(columns[index], ends[0], columns[index], ends[1], f"{one.role} whisker")
    size = 3.5 if columns.step > _LINED else 2.2
    for (x, y), name, value in zip(places, columns.names, one.values, strict=True):
        if math.isfinite(y):
            told = said(name, f"{one.label} {figure(value, 4)}")
            canvas.dot(x, y, one.role, size=size, hint=told)


def _named(
    canvas: Canvas, columns: Columns, scale: Scale, one: Series, named: Sequence[int]
) -> None:
    for index in named:
        x, y = columns[index], scale(one.values[index])
        if math.isfinite(y):
            left = x < columns.width / 2
            words = f"{index + 1}: {shortened(columns.names[index], 26)}"
            anchor, beside = ("start", x + 8) if left else ("end", x - 8)
            canvas.text(beside, y + 4, words, "strong", anchor=anchor)


def _quantiles(values: Tensor) -> list[float]:
    kept = values.double().flatten()
    kept = kept[kept.isfinite() & (kept > 0)]
    if not len(kept):
        return [math.nan] * 5
    at = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95], dtype=torch.float64)
    return [float(value) for value in torch.quantile(kept, at)]
