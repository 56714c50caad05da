"""Accounts of results: what a terminal and a notebook say, before either draws it."""

from varshift.report.accounts import (  # importing these registers their accounts
    calculations as calculations,
)
from varshift.report.accounts import causes as causes
from varshift.report.accounts import findings as findings
from varshift.report.accounts import remedies as remedies
from varshift.report.accounts import shifts as shifts
from varshift.report.accounts.parts import (
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
]
