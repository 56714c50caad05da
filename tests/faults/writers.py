"""Everything that writes files: how, and how to tell a whole one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

import varshift as vs
from varshift._check.baseline import baseline_of, read_baseline
from varshift._cli.output import draw, write
from varshift._draw import sarif
from varshift._loading import load_checkpoint, save_checkpoint
from varshift.integrations.transformers.stored import StoredStatistics
from varshift.reproduce.records import write_lines

__all__ = ["WRITERS", "Writer"]

_WIDE = 64


def _net(value):
    net = nn.Sequential(
        *(nn.Dropout(0.5), nn.Linear(3, _WIDE), nn.BatchNorm1d(_WIDE), nn.Linear(_WIDE, _WIDE))
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(value)
    return net


@cache
def _measured(value):
    torch.manual_seed(value)
    net = nn.Sequential()
    net.add_module(f"noise{value}", nn.Dropout(0.5))
    net.add_module("norm", nn.BatchNorm1d(3))
    net[1].running_mean.add_(0.1)
    return vs.measure(net, [torch.randn(32, 3) for _ in range(4)])


@cache
def _found(value):
    net = nn.Sequential()
    net.add_module("drop", nn.Dropout(0.5))
    net.add_module(f"norm{value}", nn.BatchNorm1d(3))
    return vs.check(net, torch.randn(32, 3, generator=torch.Generator().manual_seed(0)))


@dataclass(frozen=True)
class Writer:
    """`write(path, value)`, 1 or 2; `value(path)` reads it, and raises where it is not whole."""

    name: str
    write: object
    value: object


def _weights(path):
    net = _net(0)
    load_checkpoint(net, path)
    (value,) = {
        float(each) for parameter in net.parameters() for each in parameter.detach().flatten()
    }
    return int(value)


def _page(path):
    text = path.read_text("utf-8")
    assert text.rstrip().endswith("</html>")
    return 1 if "noise1" in text else 2


def _table(path):
    text = path.read_text("utf-8")
    assert text.rstrip().endswith("repair (what helps).") or "Next" in text
    return 1 if "noise1" in text else 2


def _write_statistics(path, value):
    """Beside a model file of transformers: the name is its own."""
    StoredStatistics({"a": torch.full((_WIDE,), float(value))}, {}).write(path)


def _statistics(path):
    (value,) = set(StoredStatistics.read(path).training["a"].tolist())
    return int(value)


def _lines(path):
    values = [json.loads(line)["value"] for line in path.read_text("utf-8").splitlines()]
    assert values == values[:1] * 20
    return values[0]


WRITERS = [
    Writer(".pt", lambda path, value: save_checkpoint(_net(value), path), _weights),
    Writer(".safetensors", lambda path, value: save_checkpoint(_net(value), path), _weights),
    Writer(".html", lambda path, value: _measured(value).to_html(path), _page),
    Writer(
        ".json",
        lambda path, value: write(json.dumps(_measured(value).to_dict()), str(path)),
        lambda path: 1 if "noise1" in str(json.loads(path.read_text("utf-8"))) else 2,
    ),
    Writer(".txt", lambda path, value: draw(_measured(value).table(), str(path)), _table),
    Writer(
        ".sarif",
        lambda path, value: write(json.dumps(sarif(_found(value), path.parent)), str(path)),
        lambda path: 1 if "norm1" in str(json.loads(path.read_text("utf-8"))) else 2,
    ),
    Writer(
        ".baseline",
        lambda path, value: write(json.dumps(baseline_of(_found(value))), str(path)),
        lambda path: int(next(iter(read_baseline(path).findings[0].places))[-1]),
    ),
    Writer(".jsonl", lambda path, value: write_lines(path, [{"value": value}] * 20), _lines),
    Writer(".folder", _write_statistics, _statistics),
]
