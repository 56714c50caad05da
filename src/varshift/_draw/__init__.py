"""Draws results and computes nothing: tables for the terminal, one page of HTML, data frames."""

from varshift._draw.accounts import line
from varshift._draw.annotations import workflow_commands
from varshift._draw.frames import frame
from varshift._draw.html import fragment
from varshift._draw.page import write_html
from varshift._draw.plain import text
from varshift._draw.plots import plot
from varshift._draw.sarif import sarif
from varshift._draw.tables import bar, table

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
