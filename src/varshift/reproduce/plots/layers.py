"""Pictures of what is seen in the layers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from varshift.reproduce.book import Book, Record, error
from varshift.reproduce.nets import Placing
from varshift.theory import null_band_of_mean

__all__ = ["draw_angles", "draw_curves", "draw_depth", "draw_moving"]

NONE = Placing()
A = Placing("a", "dropout", 0.5)
BLUE, RED = "#2c6fbb", "#c0392b"
RATES = {0.0: "#7f8c8d", 0.1: "#8fbbe8", 0.3: "#2c6fbb", 0.5: "#e08a1e", 0.7: "#c0392b"}


def draw_moving(book: Book, make: Any) -> Any:
    """Figure 1: real over moving variance along the depth, with and without dropout."""
    figure = make(figsize=(6, 3.2), layout="constrained")
    panel = figure.subplots()
    for label, placing, colour in (("no dropout", NONE, BLUE), ("Dropout-(a) 0.5", A, RED)):
        curves = _ratios(book.find("DenseNet", placing).values(), signed=True)
        _band(panel, curves, colour, label)
    panel.axhline(1, color="black", lw=0.8)
    panel.set_xlabel("norm, in the order of the data")
    panel.set_ylabel("real / moving variance")
    panel.set_title("DenseNet: what norms meet at test over what they have stored")
    if len(panel.lines) > 1:
        panel.legend()
    return figure


def draw_depth(book: Book, make: Any) -> Any:
    """Figure 4: the paper's ratio by depth, a panel per network and place; errors in the legend."""
    families = book.families or [""]
    figure = make(figsize=(2.8 * len(families), 5.2), layout="constrained")
    panels = figure.subplots(2, len(families), squeeze=False, sharey="row")
    for row, place in enumerate(("a", "b")):
        for panel, family in zip(panels[row], families, strict=True):
            for rate in (0.0, *book.amounts(family, place, "dropout")):
                placing = Placing(place, "dropout", rate) if rate else NONE  # type: ignore[arg-type]
                found = list(book.find(family, placing).values())
                if found and rate in RATES:
                    told = statistics.fmean(error(one) for one in found)
                    label = f"{rate:g}: {told:.1f} %"
                    _band(panel, _ratios(found, signed=False), RATES[rate], label)
            panel.set_title(f"{family}, ({place})")
            if panel.lines:
                panel.legend(fontsize=7, title="drop: test error", title_fontsize=7)
            panel.set_xlabel("norm")
        panels[row][0].set_ylabel("max(r, 1/r)")
    return figure


def draw_curves(book: Book, make: Any) -> Any:
    """Figure 5: accuracy on the same training images in both modes, along the training."""
    families = [name for name in book.families if name in ("PreResNet", "DenseNet")] or [""]
    figure = make(figsize=(4.2 * len(families), 3.2), layout="constrained")
    panels = figure.subplots(1, len(families), squeeze=False, sharey=True)[0]
    for panel, family in zip(panels, families, strict=True):
        for label, placing, colour in (("no dropout", NONE, BLUE), ("(a) 0.5", A, RED)):
            curves = [one["curve"] for one in book.find(family, placing).values() if one["curve"]]
            for side, style in (("noise on", "-"), ("evaluation", "--")):
                if curves:
                    epochs = [point["epoch"] for point in curves[0]]
                    means = [
                        100 * statistics.fmean(point[side] for point in points)
                        for points in zip(*curves, strict=True)
                    ]
                    panel.plot(epochs, means, style, color=colour, label=f"{label}, {side}")
        panel.set_title(family)
        panel.set_xlabel("epoch")
        if panel.lines:
            panel.legend(fontsize=7)
    panels[0].set_ylabel("accuracy on training images, %")
    return figure


def draw_angles(book: Book, make: Any) -> Any:
    """Figure 3: d·cos²θ of each convolution over its d, 1×1 ones hollow, with the random null."""
    figure = make(figsize=(6, 3.6), layout="constrained")
    panel = figure.subplots()
    largest = 2
    for index, family in enumerate(book.families):
        convs = [
            conv
            for width in book.widths(family)
            for one in book.find(family, NONE, width=width).values()
            for conv in one["filters"]
            if conv["path"] != "stem" and conv["d_cos2"] is not None
        ]
        largest = max([largest, *(conv["d"] for conv in convs)])
        for pointwise in (False, True):
            chosen = [conv for conv in convs if (conv["kernel"] == 1) is pointwise]
            panel.plot(
                [conv["d"] for conv in chosen],
                [conv["d_cos2"] for conv in chosen],
                "osD^"[index % 4],
                color=("#2c6fbb", "#c0392b", "#e08a1e", "#2e8b57")[index % 4],
                fillstyle="none" if pointwise else "full",
                ms=4,
                alpha=0.6,
                label=None if pointwise else family,
            )
    _null(panel, largest)
    panel.set_xlabel("d, entries of a filter (hollow: 1×1)")
    panel.set_ylabel("mean d·cos²θ of a layer")
    panel.legend(fontsize=8)
    return figure


def _null(panel: Any, largest: int) -> None:
    """Where layers of random filters lie."""
    widths = [round(2 + (largest - 2) * step / 50) for step in range(51)]
    bands = [null_band_of_mean(d, 32) for d in widths]
    panel.fill_between(
        *(widths, [low for low, _ in bands], [high for _, high in bands]),
        color="#7f8c8d",
        alpha=0.3,
        label="32 random filters, 95 %",
    )
    panel.axhline(1, color="black", lw=0.8)


def _ratios(records: Any, *, signed: bool) -> list[list[float]]:
    """Per record the ratio at every norm, NaN where all its channels are dead."""
    return [[_ratio(site, signed) for site in one["sites"]] for one in records]


def _ratio(site: Record, signed: bool) -> float:
    if not site["live"]:
        return math.nan
    ratio: float = site["paper"]
    return ratio if signed else max(ratio, 1 / ratio)


def _band(panel: Any, curves: Sequence[Sequence[float]], colour: str, label: str) -> None:
    """The mean over seeds as a line, their range as a band."""
    if not curves:
        return
    columns = list(zip(*curves, strict=True))
    places = range(len(columns))
    panel.plot(places, [statistics.fmean(c) for c in columns], color=colour, label=label, lw=1.3)
    panel.fill_between(
        places, [min(c) for c in columns], [max(c) for c in columns], color=colour, alpha=0.2, lw=0
    )
