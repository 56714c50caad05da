"""Draws results and computes nothing: tables for the terminal, one page of HTML, data frames."""

from varshift.report.frames import frame
from varshift.report.html import fragment, write_html
from varshift.report.progress import bar
from varshift.report.terminal import table

__all__ = ["bar", "fragment", "frame", "table", "write_html"]
