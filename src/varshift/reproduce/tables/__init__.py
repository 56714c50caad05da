"""The paper's tables and figures as sheets of numbers, its own figures beside them."""

from varshift.reproduce.tables.named import sheets_of

__all__ = ["sheets_of"]
