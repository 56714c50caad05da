"""What every result can do, whatever it holds: be drawn, be saved, be put in a frame.

Results hold plain numbers and names. Drawing lives on a higher floor (`varshift.report`) and is
looked up by name when asked for, so that no result imports a drawing library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["Result", "plain"]


class Result:
    """Base of all results. Subclasses are frozen dataclasses and define `to_dict` and `rows`."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: numbers, strings, lists and dicts, with a versioned `schema` on top."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict per line of the table: what `to_frame` shows."""
        raise NotImplementedError

    def table(self) -> Any:
        """A rich table (or group of tables) for the terminal. Needs the `cli` extra."""
        return import_module("varshift.report").table(self)

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row per entry of `rows()`. Needs the `report` extra."""
        return import_module("varshift.report").frame(self)

    def to_html(self, path: str | Path) -> Path:
        """Write one self-contained HTML file and return its path. Needs the `cli` extra."""
        return Path(import_module("varshift.report").write_html(self, Path(path)))

    def _repr_html_(self) -> str:
        return str(import_module("varshift.report").fragment(self))


def plain(value: Any) -> Any:
    """`value` with tensors as lists and NaN or infinity as None: what strict JSON can hold."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
