"""Draws results and computes nothing: one document each, for terminal, page, notebook and plot."""

from varshift._draw.annotations import workflow_commands
from varshift._draw.frames import frame
from varshift._draw.notebook import fragment
from varshift._draw.page import write_html
from varshift._draw.plain import text
from varshift._draw.plots import plot
from varshift._draw.sarif import sarif
from varshift._draw.tables import bar, table
from varshift._draw.telling import line

__all__ = [
    "bar",
    "fragment",
    "frame",
    "line",
    "plot",
    "sarif",
    "table",
    "text",
    "workflow_commands",
    "write_html",
]
