"""Records as plain values that `torch.save` keeps and `weights_only` loads, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from varshift.results import Monitored, MonitoredNorm

__all__ = ["remembered", "told"]


def told(record: Monitored) -> dict[str, Any]:
    """A record as dicts of numbers, strings and tensors."""
    return _fields(record) | {
        "norms": {path: _fields(norm) for path, norm in record.norms.items()},
    }


def remembered(held: Mapping[str, Any]) -> Monitored:
    """The record that `told` was given."""
    norms = {path: MonitoredNorm(**norm) for path, norm in held["norms"].items()}
    return Monitored(**{**held, "norms": norms})


def _fields(record: Any) -> dict[str, Any]:
    return {each.name: getattr(record, each.name) for each in fields(record)}
