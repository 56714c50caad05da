"""What every result can do, whatever it holds: be drawn, be saved, be put in a frame.

Results hold plain numbers and names. Drawing lives in a room above and is handed in (`_handed`), so
that no result imports a drawing library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from varshift._handed import drawing
from varshift.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Record", "Result", "Undoable", "plain"]

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

    They are made with `repr=False`: shown at a prompt a result is one sentence, however much it
    holds, and `print` adds its tables in plain text.

    >>> import torch, varshift as vs
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    >>> structure = vs.inspect(net, torch.randn(8, 3))
    >>> structure  # doctest: +ELLIPSIS
    <Structure: 0 noise sources drew in one training pass. ... .table(), .to_frame()>
    >>> print(structure)  # doctest: +ELLIPSIS
    0 noise sources drew in one training pass. ...
    """

    COLUMNS: ClassVar[tuple[str, ...]] = ()
    """Names of the columns of `rows()`, which a frame has without any row too."""

    _LIVE: ClassVar[tuple[str, ...]] = ()
    """Fields that reach the model: a copy or a file goes without them."""

    def __repr__(self) -> str:
        return str(drawing().line(self))

    def __str__(self) -> str:
        return str(drawing().text(self))

    def __getstate__(self) -> dict[str, Any]:
        # What was worked out from the fields is worked out again.
        kept = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]
        return kept | dict.fromkeys(self._LIVE)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: numbers, strings, lists and dicts, with a versioned `schema` on top."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict per line of the table: what `to_frame` shows."""
        raise NotImplementedError

    def table(self) -> Any:
        """A rich table (or group of tables) for the terminal. Needs the `cli` extra."""
        return drawing().table(self)

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row per entry of `rows()`. Needs the `report` extra."""
        return drawing().frame(self)

    def to_html(self, path: str | Path, beside: Self | None = None) -> Path:
        """Write one self-contained HTML file and return its path. Needs the `report` extra.

        It works offline: the answer and what to do, pictures, the model's tree, tables to sort and
        search, and where its numbers come from.

        Args:
            path: the file to write.
            beside: a result of the same kind from before a change, of training for instance. It
                stands to the left, this one to the right, and a table says norm by norm what
                changed.

        Raises:
            UsageError: `beside` is another kind of result.

        >>> import tempfile, torch
        >>> from varshift import inspect
        >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     inspect(net, torch.randn(4, 3)).to_html(f"{folder}/routes.html").name
        'routes.html'
        """
        if beside is not None and type(beside) is not type(self):
            raise UsageError(
                f"a {type(self).__name__} cannot stand beside a {type(beside).__name__}; pass two "
                "results of the same verb"
            )
        return Path(drawing().write_html(self, Path(path), beside))

    def plot(self, ax: Axes | None = None) -> Axes:
        """One static picture on matplotlib axes, for papers. Needs the `report` extra.

        Measurement and prediction: the shift Δ norm by norm, coloured by grade. Explanation: the
        blame as a heat map. Repair: the change of the held-out loss. Footprint: drop_p by norm.
        Monitoring: severity over the steps. Other results raise UsageError: they have no one
        picture, and `to_html` draws all of them. As the last line of a notebook's cell the picture
        shows by itself.

        Args:
            ax: where to draw; None makes a figure of its own, which `ax.figure.savefig` saves.

        >>> import torch
        >>> from varshift import measure
        >>> net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3))
        >>> measure(net, torch.randn(40, 3).split(10)).plot().get_yscale()
        'log'
        """
        return drawing().plot(self, ax)  # type: ignore[no-any-return]

    def _repr_html_(self) -> str:
        return str(drawing().fragment(self))


@dataclass(frozen=True, eq=False, repr=False)
class Undoable(Result):
    """Base of results that changed the model in place, and know the way back."""

    _LIVE = ("_undo",)

    _undo: Callable[[], None] | None = field(default=None, repr=False, kw_only=True)

    @property
    def _changed(self) -> bool:
        """Whether the model was changed at all."""
        return True

    def __enter__(self) -> Self:
        """The change holds in the block, and is undone at its end, whatever happens there."""
        return self

    def __exit__(self, *raised: object) -> None:
        self.undo()

    def undo(self) -> None:
        """Put back what was there before, bit for bit, in the same storage. May be called again.

        Does nothing where nothing was changed.

        Raises:
            UsageError: this result was loaded or copied and has no model.
        """
        if self._undo is not None:
            self._undo()
        elif self._changed:
            raise UsageError(
                "this result has no model (it was loaded or copied): there is nothing to undo"
            )


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
