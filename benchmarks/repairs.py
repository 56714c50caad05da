"""Every repair on networks trained with Dropout-(a), Dropout-(b) and without: loss and accuracy.

Nine networks, three seeds of each kind, on Fashion-MNIST (benchmarks/shifted.py trains them once).
Repairs are made on 2,048 training images and judged on 4,096 kept from training; the tables are
made on the 10,000 test images, which take part in neither. A network's rows are kept in a folder
until the code changes, so that a run can be stopped and taken up again.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

import varshift as vs
from benchmarks import markdown_tables
from benchmarks.lines import Line
from benchmarks.shifted import FOLDER, KINDS, SEEDS, Split, split, trained_net

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fvcore.nn.precise_bn import update_bn_stats

CALIBRATION, HELD_OUT, BATCH = 2048, 4096, 128
EACH = ["recalibrate", "correct", "distill", "recalibrate+distill"]
PASSES = 30  # of the noisy average in the tables
RESULTS = Path(__file__).parent.parent / "docs" / "results" / "repair.md"
Row = dict[str, float]


def run(console: Console, only: str = "") -> Iterable[Line]:
    """One table per kind of network, then what calibration costs."""
    found = {
        (kind, seed): _kept(f"repairs-{kind}-{seed}", lambda k=kind, s=seed: _rows(k, s))
        for seed in SEEDS
        for kind in KINDS
    }
    twin = [found["no dropout", seed]["as trained"] for seed in SEEDS]
    pages = ["<!-- written by `python -m benchmarks repairs` -->"]
    for kind in KINDS:
        rows = [found[kind, seed] for seed in SEEDS]
        table = _table(kind, rows, twin)
        kept = f"auto kept: {', '.join(row['auto']['kept'] for row in rows)}"
        console.print(table)
        console.print(f"{kept}\n")
        pages += [*_markdown(table), "", kept]
    budgets = [_kept(f"budget-{seed}", lambda s=seed: _budget("(a) 0.5", s)) for seed in SEEDS]
    table = _budget_table(budgets)
    console.print(table)
    RESULTS.write_text("\n".join([*pages, *_markdown(table), ""]), encoding="utf-8")
    return ()


# One network -----------------------------------------------------------------------------------


def _rows(kind: str, seed: int) -> dict[str, Row]:
    data, net = split(), trained_net(kind, seed)
    rows = {"as trained": scored(net)}
    for name, way in PEERS.items():
        peer = copy.deepcopy(net)
        start = time.perf_counter()
        way(peer, list(data.train.split(BATCH)))
        seconds = time.perf_counter() - start
        rows[name] = scored(peer) | {"seconds": seconds}
    if not vs.inspect(net, data.train[:4]).routes:
        r = vs.repair(net, _pairs(data.train, data.train_labels))
        rows["auto"] = scored(net) | {"kept": "nothing", "reason": r.reason}
        return rows
    rows |= _candidates(net, data, ["adjust-once", "adjust-live"], len(data.train), " (all)")
    rows |= _candidates(net, data, EACH, CALIBRATION, "")
    start = time.perf_counter()
    r = vs.repair(
        net,
        _pairs(data.train[:CALIBRATION], data.train_labels[:CALIBRATION]),
        held_out=_pairs(data.held, data.held_labels),
        max_held_out=HELD_OUT,
    )
    seconds = time.perf_counter() - start
    rows["auto"] = scored(net) | {"seconds": seconds, "kept": r.method or "nothing"}
    return rows


def _candidates(
    net: nn.Module, data: Split, methods: list[str], samples: int, label: str
) -> dict[str, Row]:
    """Score each repair on the test images, whether or not a gate would let it through."""
    r = vs.repair(
        copy.deepcopy(net),
        _pairs(data.train[:samples], data.train_labels[:samples]),
        held_out=_pairs(data.test, data.test_labels, 500),
        method=methods,
        passes=PASSES,
        max_samples=samples,
        max_held_out=len(data.test),
    )
    rows = {
        candidate.method + label: {
            "loss": candidate.score.loss,
            "accuracy": candidate.score.accuracy,
            "seconds": candidate.seconds,
        }
        for candidate in r.candidates
        if candidate.score is not None
    }
    if r.reference is not None:
        average = {"loss": r.reference.loss, "accuracy": r.reference.accuracy}
        rows[f"average of {PASSES} noisy passes"] = average
    return rows


def _update_bn(net: nn.Module, batches: list[Tensor]) -> None:
    update_bn(batches, net)


def _fvcore(net: nn.Module, batches: list[Tensor], *, noise_off: bool) -> None:
    net.train()
    for module in net.modules():
        if noise_off and isinstance(module, nn.Dropout):
            module.eval()
    with torch.no_grad():
        update_bn_stats(net, batches, num_iters=200)


PEERS: dict[str, Callable[[nn.Module, list[Tensor]], None]] = {
    "torch update_bn (all)": _update_bn,
    "fvcore, as detectron2 runs it": lambda net, data: _fvcore(net, data, noise_off=False),
    "fvcore, noise off": lambda net, data: _fvcore(net, data, noise_off=True),
}


def _pairs(images: Tensor, labels: Tensor, size: int = BATCH) -> list[tuple[Tensor, Tensor]]:
    return list(zip(images.split(size), labels.split(size), strict=True))


def scored(net: nn.Module) -> Row:
    """Loss and accuracy on the test images, in evaluation mode."""
    data = split()
    net.eval()
    with torch.no_grad():
        scores = torch.cat([net(images) for images in data.test.split(500)])
    net.train()
    right = (scores.argmax(1) == data.test_labels).double().mean()
    return {
        "loss": float(functional.cross_entropy(scores.double(), data.test_labels)),
        "accuracy": float(right),
    }


# What calibration costs ------------------------------------------------------------------------


def _budget(kind: str, seed: int) -> Row:
    """The fewest samples, doubled from 32, whose recalibration is within 0.5 % of that on all."""
    data, net = split(), trained_net(kind, seed)
    start = time.perf_counter()
    update_bn(list(data.train.split(BATCH)), copy.deepcopy(net))
    peer = time.perf_counter() - start
    whole = copy.deepcopy(net)
    start = time.perf_counter()
    vs.recalibrate(whole, data.train.split(500))
    seconds_whole, aim = time.perf_counter() - start, 1.005 * scored(whole)["loss"]
    found = {"update_bn": peer, "whole": seconds_whole, "aim": aim, "all": len(data.train)}
    for way in ("recalibrate", "distill"):
        samples = 32
        while samples <= len(data.train):
            loss, seconds = _with(net, data, way, samples)
            if loss <= aim:
                found |= {f"{way} samples": samples, f"{way} s": seconds, f"{way} loss": loss}
                break
            samples *= 2
    return found


def _with(net: nn.Module, data: Split, way: str, samples: int) -> tuple[float, float]:
    fresh, images = copy.deepcopy(net), data.train[:samples].split(BATCH)
    start = time.perf_counter()
    if way == "recalibrate":
        vs.recalibrate(fresh, images)
        seconds = time.perf_counter() - start
        return scored(fresh)["loss"], seconds
    held = _pairs(data.test, data.test_labels, 500)
    r = vs.repair(
        fresh, images, held_out=held, method=way, max_samples=samples, max_held_out=len(data.test)
    )
    return r[way].score.loss, r[way].seconds


# Tables ----------------------------------------------------------------------------------------


def _table(kind: str, rows: list[dict[str, Row]], twin: list[Row]) -> Table:
    table = Table(title=f"{kind}: 10,000 test images, mean of {len(rows)} seeds (each)")
    for heading in ("", "log loss", "gap recovered", "accuracy", "seconds"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name in rows[0]:
        held = [row[name] for row in rows]
        table.add_row(
            name,
            _mean(held, "loss", "{:.3f}"),
            _recovered(rows, name),
            _mean(held, "accuracy", "{:.2%}"),
            _mean(held, "seconds", "{:.1f}"),
        )
    if kind != "no dropout":
        table.add_row(
            "twin trained without",
            _mean(twin, "loss", "{:.3f}"),
            "",
            _mean(twin, "accuracy", "{:.2%}"),
        )
    return table


def _mean(rows: list[Row], key: str, form: str) -> str:
    if any(key not in row for row in rows):
        return ""
    values = [row[key] for row in rows]
    return f"{form.format(statistics.mean(values))} ({', '.join(map(form.format, values))})"


def _recovered(rows: list[dict[str, Row]], name: str) -> str:
    """Of the loss between as trained and the average of noisy passes; where there is any."""
    average = f"average of {PASSES} noisy passes"
    if average not in rows[0] or name in ("as trained", average):
        return ""
    shares = []
    for row in rows:
        gap = row["as trained"]["loss"] - row[average]["loss"]
        part = row["as trained"]["loss"] - row[name]["loss"]
        shares.append(part / gap if gap > 0 else math.nan)
    if any(math.isnan(share) for share in shares):
        return "no gap"
    return f"{statistics.mean(shares):.0%} ({', '.join(f'{share:.0%}' for share in shares)})"


def _budget_table(budgets: list[Row]) -> Table:
    table = Table(title="(a) 0.5: within 0.5 % of the loss of recalibrating on all training images")
    for heading in ("seed", "way", "samples", "of all", "seconds", "of one update_bn"):
        table.add_column(heading, justify="right")
    for seed, row in zip(SEEDS, budgets, strict=True):
        table.add_row(
            *(str(seed), "recalibrate on all", f"{row['all']:.0f}", "1", f"{row['whole']:.1f}"),
            f"{row['whole'] / row['update_bn']:.2f}",
        )
        for way in ("recalibrate", "distill"):
            samples, seconds = row.get(f"{way} samples"), row.get(f"{way} s")
            if samples is None or seconds is None:
                table.add_row(str(seed), way, "none suffices")
                continue
            table.add_row(
                *(str(seed), way, f"{samples:.0f}", f"1/{row['all'] / samples:.0f}"),
                *(f"{seconds:.2f}", f"1/{row['update_bn'] / seconds:.0f}"),
            )
    return table


def _markdown(table: Table) -> list[str]:
    """The table as Markdown, its title above it."""
    cells = [column._cells for column in table.columns]
    rows = [list(map(str, row)) for row in zip(*cells, strict=True)]
    head = [str(column.header) for column in table.columns]
    return ["", f"**{table.title}**", "", markdown_tables.table(head, rows, words=len(head))]


# Kept between runs -----------------------------------------------------------------------------


def _kept(name: str, make: Callable[[], dict]) -> dict:
    """What was found before with this very code, or found now and kept."""
    path = FOLDER / f"{name.replace(' ', '-')}-{_code()}.json"
    if not path.is_file():
        found = make()
        FOLDER.mkdir(exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(found), encoding="utf-8")
        os.replace(unfinished, path)
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def _code() -> str:
    """A hash of what the figures depend on, as it is at the start."""
    rooms = [
        Path(vs.__file__).parent / room for room in ("_engine", "_measure", "_repair", "_predict")
    ]
    files = [file for room in rooms for file in sorted(room.rglob("*.py"))]
    files.append(Path(__file__).with_name("shifted.py"))
    mixed = hashlib.sha256(f"{torch.__version__} {torch.get_num_threads()}".encode())
    for file in files:
        mixed.update(file.read_bytes())
    return mixed.hexdigest()[:12]
