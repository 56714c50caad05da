"""Results as data frames."""

from __future__ import annotations

from typing import Any

from varshift._base import Result
from varshift.errors import MissingExtraError

__all__ = ["frame"]


def frame(result: Result) -> Any:
    """A pandas DataFrame with one row per entry of `result.rows()`."""
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("pandas", "report", "to_frame()") from error
    rows = result.rows()
    # Without rows the columns are still there: frame["severity"] of a model without norms is empty.
    return pandas.DataFrame(rows, columns=None if rows else list(result.COLUMNS))
