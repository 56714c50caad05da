"""One self-contained page per result: pictures, tables, a calculator, where it all came from."""

from varshift._draw.page.writing import render, write_html

__all__ = ["render", "write_html"]
