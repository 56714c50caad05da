"""Draws results and computes nothing: tables for the terminal, one page of HTML, data frames."""

from varshift.report import causes as _causes
from varshift.report import remedies as _remedies
from varshift.report import terminal as _terminal
from varshift.report.frames import frame
from varshift.report.html import fragment, write_html
from varshift.report.layout import table
from varshift.report.progress import bar

# Importing these registers their tables.
_DRAWN = (_causes, _remedies, _terminal)

__all__ = ["bar", "fragment", "frame", "table", "write_html"]
