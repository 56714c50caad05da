"""One picture per experiment, saved as PNG."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from varshift._files import replacing
from varshift.errors import MissingExtraError
from varshift.reproduce.book import Book
from varshift.reproduce.plots.errors import draw_amounts, draw_table3, draw_table6
from varshift.reproduce.plots.layers import draw_angles, draw_curves, draw_depth, draw_moving

__all__ = ["draw"]

Draw = Callable[[Book, Any], Any]
PICTURES: dict[str, Draw] = {
    "fig1": draw_moving,
    "fig3": draw_angles,
    "fig4": draw_depth,
    "fig5": draw_curves,
    "table1": draw_angles,
    "table3": draw_table3,
    "table4": draw_amounts,
    "table6": draw_table6,
}
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.frameon": False,
    "figure.dpi": 110,
    "svg.hashsalt": "varshift",
}


def draw(name: str, book: Book, path: Path) -> None:
    """The picture of an experiment, replacing `path` whole."""
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("matplotlib", "reproduce", "pictures of results") from error
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = PICTURES[name](book, Figure)
        figure.suptitle("; ".join(map(book.named, book.sets)), fontsize=8, x=0.01, ha="left")
        held = io.BytesIO()
        # No date in the file: the same records give the same bytes.
        figure.savefig(held, format="png", metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        fresh.write_bytes(held.getvalue())
