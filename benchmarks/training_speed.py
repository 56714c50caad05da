"""Images a second that the networks of `varshift reproduce` train at, and the hours of a scale.

CPU time of one thread, so that other work on the machine shows little. The images are made up:
how fast a network trains does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import markdown_tables
from benchmarks.ledger import processor
from benchmarks.lines import Line
from varshift.reproduce import SCALES, Images, Placing, Run, Scale, Shape, chosen, runs_of
from varshift.reproduce.images import Pixels
from varshift.reproduce.trial import WORTH, speeds

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "training_speed.md"
SIDES = (16, 32)
ROUNDS = 8
COUNTS = {"cifar10": 50_000, "fashion-mnist": 60_000}
Speeds = dict[tuple[Shape, Images], dict[str, float]]


def run(console: Console, only: str = "") -> Iterable[Line]:
    """Both tables, shown, and written to docs/results."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    scale = SCALES["converged"]
    told = [*by_side(scale), *hours(scale)]
    torch.set_num_threads(threads)
    parts = [
        "# How fast the networks of `varshift reproduce` train",
        f"Images a second of whole training steps in CPU time of one thread of {processor()}, "
        f"torch {torch.__version__}: the best of {ROUNDS} rounds. *fp32* is what "
        "`varshift reproduce` did before it could do otherwise. Written by "
        "`python -m benchmarks training_speed`.",
    ]
    for title, headings, rows in told:
        table = Table(title=title)
        for place, heading in enumerate(headings):
            table.add_column(heading, justify="right" if place else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        parts += [f"## {title}", markdown_tables.table(headings, rows)]
    RESULTS.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return ()


def by_side(scale: Scale) -> list[tuple[str, list[str], list[list[str]]]]:
    """Every network of two scales, at both sides."""
    rows = []
    for shape in _shapes(SCALES["cpu"], scale):
        row = [f"{shape.family} {shape.blocks} × {shape.width}"]
        row[0] += f" × {shape.groups}" if shape.groups > 1 else ""
        for side in SIDES:
            found = measured(shape, Images("cifar10", side))
            row += [f"{found['fp32']:.0f}", f"{found['bf16']:.0f}"]
            row.append(f"{found['bf16'] / found['fp32']:.2f} ×")
        rows.append(row)
    headings = ["network"]
    for side in SIDES:
        headings += [f"fp32, {side} px", f"bf16, {side} px", "gain"]
    return [("Images a second", headings, rows)]


def hours(scale: Scale) -> list[tuple[str, list[str], list[list[str]]]]:
    """Core-hours of training of every network of a scale, before and after, and of all."""
    kinds: dict[tuple[str, Shape], list[Run]] = {}
    for one in runs_of(chosen("all"), scale):
        kinds.setdefault((one.images.name, one.shape), []).append(one)
    rows, before, after = [], 0.0, 0.0
    for (name, shape), runs in kinds.items():
        images = runs[0].recipe.steps(COUNTS[name]) * runs[0].recipe.batch_size
        found = measured(shape, runs[0].images)
        slow = len(runs) * images / found["fp32"] / 3600
        best = found["bf16"] if found["bf16"] >= WORTH * found["fp32"] else found["fp32"]
        fast = len(runs) * images / best / 3600
        before, after = before + slow, after + fast
        rows.append(
            [
                f"{shape.family} {shape.blocks} × {shape.width}, {name}",
                *(str(len(runs)), str(runs[0].recipe.epochs), f"{best:.0f}"),
                *(f"{slow:.1f}", f"{fast:.1f}"),
            ]
        )
    count = sum(map(len, kinds.values()))
    rows.append(["all", str(count), "", "", f"{before:.1f}", f"{after:.1f}"])
    headings = ["network", "runs", "epochs", "images/s", "hours in fp32", "hours"]
    return [(f"Core-hours of training at scale {scale.name}", headings, rows)]


_known: Speeds = {}


def measured(shape: Shape, images: Images) -> dict[str, float]:
    """Images a second of a network on such images, by number format."""
    if (shape, images) not in _known:
        recipe = replace(SCALES["converged"].recipes[shape.family], batch_size=128)
        one = Run(shape, Placing(), images, recipe, 0)
        _known[shape, images] = speeds(one, made_up(images), rounds=ROUNDS)
    return _known[shape, images]


def made_up(images: Images, count: int = 512) -> Pixels:
    """Bytes drawn at random, of the size of a set's images."""
    dice = torch.Generator().manual_seed(0)
    channels = 1 if images.name == "fashion-mnist" else 3
    shape = (count, channels, images.side, images.side)
    drawn = torch.randint(256, shape, generator=dice, dtype=torch.uint8)
    labels = torch.arange(count) % 10
    scale = torch.full((1, channels, 1, 1), 127.5), torch.full((1, channels, 1, 1), 73.9)
    return Pixels("made up", drawn, labels, drawn, labels, "", (scale,))


def _shapes(*scales: Scale) -> list[Shape]:
    made: dict[Shape, None] = {}
    for scale in scales:
        for family, shape in scale.shapes.items():
            widths = (shape.width, *scale.widths.get(family, ()))
            made |= dict.fromkeys(replace(shape, width=width) for width in sorted(widths))
    return list(made)
