"""What every result can do, whatever it holds: be drawn, be saved, be put in a frame.

Results hold plain numbers and names. Drawing lives on a higher floor (`varshift.report`) and is
looked up by name when asked for, so that no result imports a drawing library.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Record", "Result", "plain"]

_LONG = 60  # characters of one value in a repr


class Record:
    """Base of dataclasses that hold tensors: they print in a line, tensors by type and shape.

    >>> from dataclasses import dataclass
    >>> import torch
    >>> @dataclass(frozen=True, repr=False)
    ... class Moments(Record):
    ...     mean: torch.Tensor
    ...     count: int
    >>> Moments(torch.zeros(64), 3)
    Moments(mean=float32[64], count=3)
    """

    def __repr__(self) -> str:
        held = ((each.name, getattr(self, each.name)) for each in fields(self) if each.repr)  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{name}={_brief(it)}' for name, it in held)})"


def _brief(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, Record):
        return f"{type(value).__name__}(…)"
    if isinstance(value, Collection) and not isinstance(value, (str, bytes)):
        return f"<{len(value)} in a {type(value).__name__}>" if len(value) else repr(value)
    text = repr(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


class Result:
    """Base of all results. Subclasses are frozen dataclasses and define `to_dict` and `rows`.

    They are made with `repr=False`: a result prints as one sentence, however much it holds.

    >>> import torch, varshift as vs
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    >>> print(vs.inspect(net, torch.randn(8, 3)))  # doctest: +NORMALIZE_WHITESPACE
    <Structure: 0 active and 0 silent noise sources, 1 norm, none of them reached directly
     by noise. .table(), .to_frame()>
    """

    COLUMNS: ClassVar[tuple[str, ...]] = ()
    """Names of the columns of `rows()`, which a frame has without any row too."""

    def __repr__(self) -> str:
        return str(import_module("varshift.report").line(self))

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
