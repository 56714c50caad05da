"""Every verb on little data; those that change the model give the way back."""

from __future__ import annotations

import types

import torch

import varshift as vs
from varshift.testing import assert_no_variance_shift

_UNTIL_A_LOOK = 10  # times the five batches: running statistics have to forget their first values


def _first(data):
    return next(iter(data))


def _repaired(method):
    return lambda net, data: vs.repair(
        net, data, held_out=_held_out(), kind="values", method=method, level=0.5
    )


def _held_out():
    generator = torch.Generator().manual_seed(9)
    return [torch.randn(12, 3, generator=generator) for _ in range(2)]


def _monitored(net, data):
    """Only the norm is trained, and put back: all of it would leave marks of its own."""
    monitor, norm = vs.Monitor(net, every=1, warn=False), net.net[2]
    before = [held.clone() for held in norm.buffers()]
    try:
        for _ in range(_UNTIL_A_LOOK):
            for batch in data:
                with torch.no_grad():
                    norm(batch.repeat(1, 2))
                monitor.step(batch)
    except BaseException as error:  # what it has noted so far, the loop's owner still has
        error.add_note("; ".join(monitor.notes))
        raise
    finally:
        for held, value in zip(norm.buffers(), before, strict=True):
            held.copy_(value)
    return monitor.result()


def _inside(net, data):
    with vs.test_statistics(net, data) as result:
        return result


def _asserted(net, data):
    try:
        return assert_no_variance_shift(net, _first(data))
    except AssertionError as error:
        return types.SimpleNamespace(notes=[str(error)])


VERBS = {
    "inspect": lambda net, data: vs.inspect(net, _first(data)),
    "measure": lambda net, data: vs.measure(net, data),
    "explain": lambda net, data: vs.explain(net, data),
    "diagnose": lambda net, data: vs.diagnose(net, data),
    "predict": lambda net, data: vs.predict(net, data),
    "predict other noise": lambda net, data: vs.predict(net, data, noise={"*": 0.2}),
    "predict without data": lambda net, data: vs.predict(net, example=_first(data)),
    "footprint": lambda net, data: vs.footprint(net, data),
    "check": lambda net, data: vs.check(net, _first(data)),
    "check on data": lambda net, data: vs.check(net, data=data),
    "assert": _asserted,
    "monitor": _monitored,
    "test_statistics": _inside,
    "update_bn": lambda net, data: vs.update_bn(data, net),
    "recalibrate": lambda net, data: vs.recalibrate(net, data),
    "repair": _repaired("recalibrate"),
    "repair by auto": _repaired("auto"),
    "repair by distill": _repaired("distill"),
    "repair by correct": _repaired("correct"),
    "repair by adjust-once": _repaired("adjust-once"),
    "repair by adjust-live": _repaired("adjust-live"),
    "relocate": lambda net, data: vs.relocate(net, _first(data)),
    "replace": lambda net, data: vs.replace(net, _first(data), 0.1),
    "replace by data": lambda net, data: vs.replace(
        net, _first(data), "uout", max_severity=1.05, data=data
    ),
}
_CHANGING = ("recalibrate", "repair", "relocate", "replace", "update_bn", "test_statistics")
CHANGES = tuple(verb for verb in VERBS if verb.startswith(_CHANGING))
