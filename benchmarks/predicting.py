"""Prediction against measurement at every directly hit site, as a table and a scatter plot.

`python -m benchmarks predicting` prints the table and writes it, with the plot, under
docs/results/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import timm
import torch
import torchvision
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import varshift as vs
from benchmarks import markdown_tables
from benchmarks.lines import Line, asked
from benchmarks.trained import TRAINED, digits, trained

RESULTS = Path(__file__).parent.parent / "docs" / "results"

LIBRARY: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "torchvision EfficientNet-B0": (lambda: torchvision.models.efficientnet_b0(), 64),
    "timm resnet50, drop path 0.1": (
        lambda: timm.create_model(
            "resnet50", drop_path_rate=0.1, num_classes=10, zero_init_last=False
        ),
        64,
    ),
    "torchvision DenseNet, drop 0.2": (
        lambda: torchvision.models.DenseNet(12, (4, 4, 4), 24, drop_rate=0.2, num_classes=10),
        64,
    ),
}


@dataclass(frozen=True)
class Point:
    """One directly hit site: what was measured, and what was predicted with and without data."""

    network: str
    site: str
    measured: float
    error: float
    seen: float
    blind: float | None
    inside: bool


def run(console: Console, only: str = "") -> Iterable[Line]:
    """Ten trained networks and three of libraries; nothing is written of a part of them."""
    points: list[Point] = []
    images = digits()[0][:1152]
    for name, make in _named(TRAINED, only):
        points += compared(name, trained(make), list(images.split(64)), 8)
        console.print(f"{name}: {sum(p.network == name for p in points)} sites", highlight=False)
    for name, (make, size) in _named(LIBRARY, only):
        torch.manual_seed(0)
        data = list(torch.randn(64, 3, size, size).split(16))
        points += compared(name, settled(make(), data), data, 3)
        console.print(f"{name}: {sum(p.network == name for p in points)} sites", highlight=False)
    console.print(tabled(points))
    if not only:
        write(points)
    return ()


def _named(networks: dict[str, Any], only: str) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in networks.items() if asked(name, only))


def settled(net: nn.Module, data: list[Tensor]) -> nn.Module:
    """Library networks with fresh weights and the statistics that long training would leave."""
    net.train()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # a plain average of all batches
    with torch.no_grad():
        for _ in range(12):
            for batch in data:
                net(batch)
    return net


def compared(name: str, net: nn.Module, data: list[Tensor], repeats: int) -> list[Point]:
    """The directly hit sites of one network; measured over several passes of noise."""
    m = vs.measure(net, data * repeats)
    f, blind = vs.predict(net, data * 2), vs.predict(net, example=data[0][:16])
    hit = {route.norm for route in m.structure.direct()}
    return [
        Point(
            network=name,
            site=path,
            measured=site.shift,
            error=site.shift_se,
            seen=f.sites[path].shift,
            blind=blind.sites[path].shift if path in blind.sites else None,
            # within the band widened by two standard errors of the measurement
            inside=path in blind.sites
            and blind.sites[path].low - 2 * site.shift_se
            <= site.shift
            <= blind.sites[path].high + 2 * site.shift_se,
        )
        for path, site in m.sites.items()
        if path in hit and path in f.sites
    ]


def tabled(points: list[Point]) -> Table:
    """Median and worst relative error per network."""
    table = Table(title="predicted ÷ measured Δ − 1 at directly hit sites")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for row in rows(points):
        table.add_row(*row)
    return table


HEADINGS = (
    *("network", "sites", "with data, median", "worst", "measurement's own error"),
    *("without data: sites", "median", "first site", "worst", "in their band"),
)


def rows(points: list[Point]) -> list[tuple[str, ...]]:
    """The table's rows as text, all networks together last."""
    names = list(dict.fromkeys(point.network for point in points))
    found = [_row(name, [p for p in points if p.network == name]) for name in names]
    return [*found, _row("all", points)]


def _row(name: str, points: list[Point]) -> tuple[str, ...]:
    seen = [abs(p.seen / p.measured - 1) for p in points]
    blind = [abs(p.blind / p.measured - 1) for p in points if p.blind is not None]
    own = median(p.error / p.measured for p in points)
    return (
        *(name, str(len(points)), _percent(median(seen)), _percent(max(seen)), _percent(own)),
        str(len(blind)),
        _percent(median(blind)) if blind else "—",
        _percent(blind[0]) if blind and name != "all" else "—",
        _percent(max(blind)) if blind else "—",
        f"{sum(p.inside for p in points)}/{len(blind)}" if blind else "—",
    )


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def write(points: list[Point]) -> None:
    """The table as Markdown and the scatter plot, for the documentation."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    told = markdown_tables.table(HEADINGS, rows(points), words=len(HEADINGS))
    page = f"<!-- written by `python -m benchmarks predicting` -->\n{told}\n"
    (RESULTS / "prediction.md").write_text(page, encoding="utf-8")
    plot(points, RESULTS / "prediction.png")


def plot(points: list[Point], path: Path) -> None:
    """Predicted against measured, with data on the left and without on the right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
    names = list(dict.fromkeys(point.network for point in points))
    colours = plt.get_cmap("tab20")
    for axis, title in zip(axes, ("with data", "from the checkpoint alone"), strict=True):
        values = [p.measured for p in points]
        low, high = 0.9 * min(values), 1.05 * max(values)
        axis.plot([low, high], [low, high], color="grey", linewidth=0.8)
        for index, name in enumerate(names):
            held = [p for p in points if p.network == name]
            pairs = [
                (p.measured, p.seen if title == "with data" else p.blind, p.error) for p in held
            ]
            known = [(x, y, e) for x, y, e in pairs if y is not None]
            if known:
                x, y, e = zip(*known, strict=True)
                axis.errorbar(x, y, xerr=e, fmt="o", markersize=4, color=colours(index), label=name)
        axis.set(title=title, xlabel="measured Δ", ylabel="predicted Δ")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7)
    figure.savefig(path, dpi=150)
    plt.close(figure)
