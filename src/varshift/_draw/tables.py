"""What is drawn with rich, which is imported when first drawn with: pages and SARIF go without."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from varshift.errors import MissingExtraError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from varshift._draw.progress import Bar
    from varshift._draw.progress_line import ProgressLine

__all__ = ["bar", "table"]


def table(result: Any) -> RenderableType:
    """A renderable of the whole result, what could not be seen included."""
    _needed("table()")
    from varshift._draw import terminal

    return terminal.table(result)


def bar(label: str = "", after: float = 0.0) -> Bar | ProgressLine:
    """A progress bar on stderr that is running, and seen `after` so many seconds."""
    _needed("a progress bar")
    from varshift._draw import progress

    return progress.bar(label, after)


def _needed(purpose: str) -> None:
    if find_spec("rich") is None:
        raise MissingExtraError("rich", "cli", purpose)
