"""The paper's tables and figures by name, a file each, and the ten claims that rest on them."""

from __future__ import annotations

from varshift.errors import UsageError
from varshift.reproduce.book import Book
from varshift.reproduce.claims import Verdict
from varshift.reproduce.experiments.base import Experiment, narrowed, runs_of
from varshift.reproduce.experiments.figure1 import FIGURE_1
from varshift.reproduce.experiments.figure3 import FIGURE_3
from varshift.reproduce.experiments.figure4 import FIGURE_4
from varshift.reproduce.experiments.figure5 import FIGURE_5
from varshift.reproduce.experiments.table1 import TABLE_1
from varshift.reproduce.experiments.table3 import TABLE_3
from varshift.reproduce.experiments.table4 import TABLE_4
from varshift.reproduce.experiments.table6 import TABLE_6

__all__ = ["CLAIMS", "EXPERIMENTS", "Experiment", "chosen", "judged", "narrowed", "runs_of"]

_FIGURES = (FIGURE_1, FIGURE_3, FIGURE_4, FIGURE_5)
EXPERIMENTS = {one.name: one for one in (*_FIGURES, TABLE_1, TABLE_3, TABLE_4, TABLE_6)}
# In the order of their roman numbers.
CLAIMS = tuple(
    claim
    for one in (FIGURE_4, TABLE_3, FIGURE_3, TABLE_4, TABLE_6, FIGURE_5)
    for claim in one.claims
)


def chosen(name: str) -> list[Experiment]:
    """One experiment, or "all" of them; raises UsageError for a name that is none."""
    if name == "all":
        return list(EXPERIMENTS.values())
    if name not in EXPERIMENTS:
        raise UsageError(f"no experiment {name!r}; there are {', '.join(EXPERIMENTS)} and all")
    return [EXPERIMENTS[name]]


def judged(book: Book) -> list[Verdict]:
    """Every claim, put to the records of one data set."""
    return [claim.judged(book) for claim in CLAIMS]
