"""What every result can do, whatever it holds: be drawn, be saved, be put in a frame.

Results hold plain numbers and names. Drawing lives on a higher floor (`varshift.report`) and is
looked up by name when asked for, so that no result imports a drawing library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        """Write one self-contained HTML file and return its path. Needs the `report` extra.

        It works offline: pictures, sortable tables, a calculator, and where its numbers come from.

        >>> import tempfile, torch
        >>> from varshift import inspect
        >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     inspect(net, torch.randn(4, 3)).to_html(f"{folder}/routes.html").name
        'routes.html'
        """
        return Path(import_module("varshift.report").write_html(self, Path(path)))

    def plot(self, ax: Axes | None = None) -> Axes:
        """One static picture on matplotlib axes, for papers. Needs the `report` extra.

        Measurement and prediction: variance in training and at test, norm by norm. Explanation: the
        blame as a heat map. Repair: held-out loss before and after. Footprint: drop_p by norm.
        Other results raise UsageError: they have more than one picture, and `to_html` draws them.

        Args:
            ax: where to draw; None makes a figure of its own, which `ax.figure.savefig` saves.

        >>> import torch
        >>> from varshift import measure
        >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3))
        >>> measure(net, torch.randn(40, 3).split(10)).plot().get_yscale()
        'log'
        """
        return import_module("varshift.report").plot(self, ax)  # type: ignore[no-any-return]

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
