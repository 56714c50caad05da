"""Draws results and computes nothing: tables for the terminal, one page of HTML, data frames."""

from varshift.report import causes as _causes
from varshift.report import findings as _findings
from varshift.report import remedies as _remedies
from varshift.report import terminal as _terminal
from varshift.report.annotations import workflow_commands
from varshift.report.frames import frame
from varshift.report.html import fragment
from varshift.report.layout import table
from varshift.report.page import write_html
from varshift.report.plots import plot
from varshift.report.progress import bar
from varshift.report.sarif import sarif

# Importing these registers their tables.
_DRAWN = (_causes, _findings, _remedies, _terminal)

__all__ = ["bar", "fragment", "frame", "plot", "sarif", "table", "workflow_commands", "write_html"]
