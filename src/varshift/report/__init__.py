"""Draws results and computes nothing: tables for the terminal, one page of HTML, data frames."""

from varshift.report.accounts import line
from varshift.report.annotations import workflow_commands
from varshift.report.frames import frame
from varshift.report.html import fragment
from varshift.report.page import write_html
from varshift.report.plots import plot
from varshift.report.sarif import sarif
from varshift.report.tables import bar, table

__all__ = [
    "bar",
    "fragment",
    "frame",
    "line",
    "plot",
    "sarif",
    "table",
    "workflow_commands",
    "write_html",
]
