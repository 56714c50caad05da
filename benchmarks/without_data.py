"""Prediction without data on trained networks: how often the truth lies in the band.

`python -m benchmarks without_data` trains one small network a seed, finds the true Δ of every norm
that noise reaches by hooks of its own, and predicts it from one example: 64, 16 or 4 samples of the
data, or 16 of normal numbers. What is done is kept in `without_data.jsonl` in the system's
temporary folder, so that a run that was stopped goes on where it was; `--only 200:260` takes others
than the sixty of the documentation. Seeds below 120 and from 1000 to 1160 chose the constants of
`varshift._predict`, and are not to be shown as a trial of them.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import varshift as vs
from benchmarks import markdown_tables
from benchmarks.lines import Line
from benchmarks.small_nets import Trained, drawn_kind, trained_net

RESULTS = Path(__file__).parent.parent / "docs" / "results"
KEPT = Path(tempfile.gettempdir()) / "varshift-without_data.jsonl"
EXAMPLES = ("64 samples", "16 samples", "4 samples", "16 of normal numbers")
HEADINGS = ("example", "norms", "predicted", "in their band", "median error", "half band, median")
Row = dict[str, Any]


def run(console: Console, only: str = "") -> Iterable[Line]:
    """Whatever is not done yet, then the table; the documentation's is written."""
    first, last = (int(end) for end in (only or "120:180").split(":"))
    rows = list(_kept())
    done = {row["seed"] for row in rows}
    for seed in range(first, last):
        if seed in done:
            continue
        found = list(rows_of(trained_net(drawn_kind(seed))))
        rows += found
        with KEPT.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in found)
        console.print(f"{seed}: {drawn_kind(seed).name}", highlight=False)
    rows = [row for row in rows if first <= row["seed"] < last]
    lines = list(tabled(rows))
    table = Table(*HEADINGS, title=f"{last - first} trained networks, predicted without data")
    for line in lines:
        table.add_row(*line)
    console.print(table)
    if not only:
        _write(lines)
    return ()


def _kept() -> Iterator[Row]:
    if KEPT.exists():
        yield from map(json.loads, KEPT.read_text(encoding="utf-8").splitlines())


def rows_of(trained: Trained) -> Iterator[Row]:
    """One row for each example and norm that noise reaches; a first one says that it is done."""
    kind, net, data = trained.kind, trained.net, trained.data
    yield {"seed": kind.seed, "kind": kind.name}
    truth = true_shifts(net, list(data.split(50)))
    draw = torch.Generator().manual_seed(kind.seed)
    chosen = data[torch.randperm(len(data), generator=draw)]
    normal = torch.randn(16, *data.shape[1:], generator=draw)
    for name, x in zip(EXAMPLES, (chosen[:64], chosen[:16], chosen[:4], normal), strict=True):
        torch.manual_seed(kind.seed)
        found = vs.predict(net, example=x)
        direct = {route.norm for route in found.structure.direct()}
        for path in dict.fromkeys(route.norm for route in found.structure.routes):
            site = found.sites.get(path)
            yield {
                "seed": kind.seed,
                "kind": kind.name,
                "example": name,
                "norm": path,
                "direct": path in direct,
                "true": truth[path],
                "how": None if site is None else site.how,
                "shift": None if site is None else site.shift,
                "low": None if site is None else site.low,
                "high": None if site is None else site.high,
            }


@torch.no_grad()
def true_shifts(net: nn.Module, batches: list[Tensor], rounds: int = 8) -> dict[str, float]:
    """Median over channels of variance at test ÷ in training over all batches, by plain hooks."""
    var: dict[bool, dict[str, Tensor]] = {}
    for mode in (True, False):
        copied = copy.deepcopy(net).train(mode)
        got: dict[str, list[Tensor]] = {}
        for path, module in copied.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.register_forward_pre_hook(_keeping(got.setdefault(path, [])))
        for batch in batches * (rounds if mode else 1):
            copied(batch)
        var[mode] = {path: torch.cat(values, 1).double().var(1) for path, values in got.items()}
    return {path: float((var[False][path] / var[True][path]).nanmedian()) for path in var[True]}


def _keeping(values: list[Tensor]) -> Any:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values.append(inputs[0].transpose(0, 1).flatten(1))

    return hook


def tabled(rows: list[Row]) -> Iterator[tuple[str, ...]]:
    """By kind of example, norms hit directly and all others."""
    rows = [row for row in rows if "example" in row]
    for direct, said in ((True, "hit directly"), (False, "through norms only")):
        for example in EXAMPLES:
            here = [r for r in rows if r["example"] == example and r["direct"] is direct]
            yield f"{example}, {said}", *_line(here)
    yield "all of the data", *_line([r for r in rows if r["example"] != EXAMPLES[-1]])
    yield "all of normal numbers", *_line([r for r in rows if r["example"] == EXAMPLES[-1]])


def _line(rows: list[Row]) -> tuple[str, ...]:
    had = [row for row in rows if row["shift"] is not None]
    if not had:
        return str(len(rows)), "0", "—", "—", "—"
    inside = sum(row["low"] <= row["true"] <= row["high"] for row in had)
    return (
        str(len(rows)),
        str(len(had)),
        f"{inside} ({100 * inside / len(had):.1f} %)",
        f"{100 * median(abs(r['shift'] / r['true'] - 1) for r in had):.1f} %",
        f"{median((r['high'] - r['low']) / 2 for r in had):.3f}",
    )


def _write(lines: list[tuple[str, ...]]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    page = "<!-- written by `python -m benchmarks without_data` -->\n"
    page += markdown_tables.table(HEADINGS, lines) + "\n"
    (RESULTS / "without_data.md").write_text(page, encoding="utf-8")
