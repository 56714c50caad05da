"""Every verb on little data; those that change the model give the way back."""

from __future__ import annotations

import torch

import varshift as vs


def _first(data):
    return next(iter(data))


def _repair(net, data):
    return vs.repair(
        net, data, held_out=_held_out(), kind="values", method="recalibrate", level=0.5
    )


def _held_out():
    generator = torch.Generator().manual_seed(9)
    return [torch.randn(12, 3, generator=generator) for _ in range(2)]


VERBS = {
    "inspect": lambda net, data: vs.inspect(net, _first(data)),
    "measure": lambda net, data: vs.measure(net, data),
    "explain": lambda net, data: vs.explain(net, data),
    "diagnose": lambda net, data: vs.diagnose(net, data),
    "predict": lambda net, data: vs.predict(net, data),
    "predict without data": lambda net, data: vs.predict(net, example=_first(data)),
    "footprint": lambda net, data: vs.footprint(net, data),
    "check": lambda net, data: vs.check(net, _first(data)),
    "check on data": lambda net, data: vs.check(net, data=data),
    "recalibrate": lambda net, data: vs.recalibrate(net, data),
    "repair": _repair,
    "relocate": lambda net, data: vs.relocate(net, _first(data)),
    "replace": lambda net, data: vs.replace(net, _first(data), 0.1),
}
CHANGES = ("recalibrate", "repair", "relocate", "replace")
