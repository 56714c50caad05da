"""How often figure ± 1.96 standard errors of `measure` holds what the population has.

`python -m benchmarks coverage` draws fresh samples of known laws, measures, and counts; the truth
is exact, by the closed forms of docs/theory.md. Fifty branches beside each other, each with inputs
of its own, are fifty repetitions in one call. It prints the table and writes it to
docs/results/coverage.json, line by line, so that a run that was stopped goes on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import varshift as vs
from benchmarks.lines import Line, asked

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "coverage.json"
REPETITIONS, BRANCHES, CHANNELS, DROP_P = 400, 50, 16, 0.5
SIZES = ((256, 32), (1024, 64))  # samples, batch size
FIGURES = ("single channels", "median", "severity", "paper's")


@dataclass(frozen=True)
class Law:
    """Independent values with their mean and variance."""

    draw: Callable[[tuple[int, ...]], Tensor]
    mean: float = 0.0
    var: float = 1.0


def _exponential(size: tuple[int, ...]) -> Tensor:
    return torch.empty(size).exponential_()


LAWS = {
    "uniform": Law(lambda size: (2 * torch.rand(size) - 1) * math.sqrt(3)),
    "normal": Law(torch.randn),
    "Laplace": Law(lambda size: (_exponential(size) - _exponential(size)) / math.sqrt(2)),
    "Student t(5)": Law(
        lambda size: torch.randn(size) / (torch.randn((5, *size)).square().sum(0) / 3).sqrt()
    ),
    "lognormal": Law(
        lambda size: torch.randn(size).exp(), math.exp(0.5), math.exp(2) - math.exp(1)
    ),
}


class Side(nn.Module):
    """The same branch many times, each on its own slice of the input's features."""

    def __init__(self, branches: list[nn.Module], width: int) -> None:
        super().__init__()
        self.branches, self.width = nn.ModuleList(branches), width

    def forward(self, x: Tensor) -> Tensor:
        """Sum of what the branches give, so that it is used."""
        slices = x.split(self.width, 1)
        pairs = zip(self.branches, slices, strict=True)
        return sum(branch(part).mean() for branch, part in pairs)  # type: ignore[return-value]


@dataclass(frozen=True)
class Place:
    """What stands between the dropout and the norm; inputs are scale · value + offset."""

    scale: Tensor
    offset: Tensor
    weights: Tensor | None = None  # (C, width) or (C, width, k, k)
    side: int = 0  # of the image

    def branch(self) -> nn.Module:
        """Dropout, weights, norm."""
        if self.weights is None:
            return nn.Sequential(nn.Dropout(DROP_P), nn.BatchNorm1d(CHANNELS))
        layer: nn.Module
        if self.weights.ndim == 2:
            layer, norm = nn.Linear(*self.weights.T.shape, bias=False), nn.BatchNorm1d(CHANNELS)
        else:
            layer = nn.Conv2d(*self.weights.transpose(0, 1).shape[:2], 3, bias=False)
            norm = nn.BatchNorm2d(CHANNELS)  # type: ignore[assignment]
        layer.weight.data = self.weights
        return nn.Sequential(nn.Dropout(DROP_P), layer, norm)

    def delta(self, law: Law) -> Tensor:
        """Δ of each channel in the population, var/(var + τN)."""
        mean, var = self.scale * law.mean + self.offset, self.scale.square() * law.var
        tau = DROP_P / (1 - DROP_P)
        energy = mean.square() + var
        if self.weights is not None:
            squares = self.weights.square().flatten(2).sum(2) if self.side else self.weights**2
            var, energy = squares @ var, squares @ energy
        return (var / (var + tau * energy)).double()

    def draw(self, law: Law, samples: int) -> Tensor:
        """Inputs of all branches."""
        width = len(self.scale)
        image = (self.side, self.side) if self.side else ()
        x = law.draw((samples, BRANCHES * width, *image))
        shape = (1, -1, *(1 for _ in image))
        return x * self.scale.repeat(BRANCHES).view(shape) + self.offset.repeat(BRANCHES).view(
            shape
        )


def places() -> dict[str, Place]:
    """Channels alike and channels that differ, straight, behind a linear layer, a convolution."""
    torch.manual_seed(0)
    even = torch.linspace(0, 1, CHANNELS)
    return {
        "(a), channels alike": Place(torch.ones(CHANNELS), torch.full((CHANNELS,), 0.5)),
        "(a), channels differ": Place(torch.ones(CHANNELS), 0.5 + 2 * even),
        "(b), linear": Place(0.5 + even, even, torch.randn(CHANNELS, CHANNELS) / 4),
        "(b), convolution": Place(
            torch.tensor([0.5, 1.0, 1.5]),
            torch.tensor([0.0, 0.5, 1.0]),
            torch.randn(CHANNELS, 3, 3, 3) / 5,
            side=6,
        ),
    }


def run(console: Console, only: str = "") -> Iterable[Line]:
    """Every place, law and number of samples; `only` parts of "place, law"."""
    lines = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    known = {(line["place"], line["law"], line["samples"]) for line in lines}
    for name, place in places().items():
        for title, law in LAWS.items():
            for samples, size in SIZES if asked(f"{name}, {title}", only) else ():
                if (name, title, samples) not in known:
                    held = coverage(place, law, samples, size)
                    lines.append({"place": name, "law": title, "samples": samples, **held})
                    RESULTS.write_text(json.dumps(lines, indent=1) + "\n")
    console.print(table(lines))
    console.print(f"{REPETITIONS} repetitions: 95 ± 2.1 where an error holds what it says\n")
    return ()


def coverage(place: Place, law: Law, samples: int, size: int) -> dict[str, float]:
    """Share of repetitions, in percent, in which the interval holds the population's figure."""
    torch.manual_seed(samples)
    delta = place.delta(law)
    model = Side([place.branch() for _ in range(BRANCHES)], len(place.scale))
    held: dict[str, list[Tensor]] = {figure: [] for figure in FIGURES}
    for turn in range(REPETITIONS // BRANCHES):
        torch.manual_seed(samples + turn)
        found = vs.measure(model, place.draw(law, samples).split(size))
        for site in found.sites.values():
            for figure, inside in zip(FIGURES, _inside(site, delta, place, law), strict=True):
                held[figure].append(inside.double().mean())
    return {
        figure: round(100 * float(torch.stack(shares).mean()), 1) for figure, shares in held.items()
    }


def _inside(site: vs.results.Site, delta: Tensor, place: Place, law: Law) -> list[Tensor]:
    severe = torch.maximum(delta, 1 / delta).quantile(0.5)
    paper = _variance(place, law).mean()
    return [
        (site.delta - delta).abs() <= 1.96 * site.delta_se,
        (site.shift - delta.quantile(0.5)).abs() <= 1.96 * site.shift_se,
        (site.severity - severe).abs() <= 1.96 * site.severity_se,
        (site.paper - torch.maximum(paper, 1 / paper)).abs() <= 1.96 * site.paper_se,
    ]


def _variance(place: Place, law: Law) -> Tensor:
    """Variance of each channel at test; what is stored is 1."""
    var = place.scale.square() * law.var
    if place.weights is None:
        return var.double()
    squares = place.weights.square().flatten(2).sum(2) if place.side else place.weights**2
    return (squares @ var).double()


def table(lines: list[dict[str, float | str]]) -> Table:
    """One row per place and law, one group of columns per figure."""
    made = Table(title="intervals of ± 1.96 s.e. that hold the truth, %")
    for heading in ("place", "law", *FIGURES):
        made.add_column(heading, justify="left" if heading in ("place", "law") else "right")
    rows: dict[tuple[str, str], list[dict[str, float | str]]] = {}
    for line in lines:
        rows.setdefault((str(line["place"]), str(line["law"])), []).append(line)
    for key, several in rows.items():
        cells = (" / ".join(f"{line[figure]:.0f}" for line in several) for figure in FIGURES)
        made.add_row(*key, *cells)
    made.caption = "with " + " / ".join(f"{samples}" for samples, _ in SIZES) + " samples"
    return made
