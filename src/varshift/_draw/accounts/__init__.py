"""Accounts of results: what a terminal and a notebook say, before either draws it."""

from varshift._draw.accounts import (  # noqa: F401  their kinds of result register themselves
    calculations,
    causes,
    findings,
    footprints,
    monitors,
    remedies,
    shifts,
)
from varshift._draw.accounts.parts import (
    MOST,
    Account,
    Cell,
    Name,
    Row,
    Sheet,
    Words,
    account,
    by_reason,
    line,
    plain_sheet,
    told,
)

__all__ = [
    "MOST",
    "Account",
    "Cell",
    "Name",
    "Row",
    "Sheet",
    "Words",
    "account",
    "by_reason",
    "line",
    "plain_sheet",
    "told",
]
