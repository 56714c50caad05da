"""What is remembered of all looks: bounded, and as plain values that `torch.save` keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from varshift.results import Monitored, MonitoredNorm

__all__ = ["remember", "remembered", "told"]

_MOST = 1000  # looks of which each is kept; twice as many in all
_CHANNELS = 100  # looks of which every channel is kept


def remember(history: list[Monitored], record: Monitored) -> None:
    """Append it, in a memory that does not grow: a long run takes looks by the ten thousand.

    Of looks that lie further back the channels are let go, and of those before the last thousand
    every second one, as often as there are twice as many.
    """
    history.append(record)
    if len(history) > _CHANNELS:
        history[-1 - _CHANNELS] = _figures_alone(history[-1 - _CHANNELS])
    if len(history) > 2 * _MOST:
        history[:-_MOST] = history[:-_MOST:2]


def _figures_alone(record: Monitored) -> Monitored:
    norms = {path: replace(norm, delta=norm.delta[:0]) for path, norm in record.norms.items()}
    return replace(record, norms=norms)


def told(record: Monitored) -> dict[str, Any]:
    """A record as dicts of numbers, strings and tensors."""
    return _fields(record) | {
        "norms": {path: _fields(norm) for path, norm in record.norms.items()},
    }


def remembered(held: Mapping[str, Any]) -> Monitored:
    """The record that `told` was given."""
    norms = {path: _norm(norm) for path, norm in held["norms"].items()}
    return Monitored(**{**held, "norms": norms})


def _norm(held: Mapping[str, Any]) -> MonitoredNorm:
    """A file may have been loaded to an accelerator."""
    return MonitoredNorm(**{**held, "delta": held["delta"].cpu()})


def _fields(record: Any) -> dict[str, Any]:
    return {each.name: getattr(record, each.name) for each in fields(record)}
