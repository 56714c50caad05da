"""One static picture per result, drawn by matplotlib, for papers."""

from varshift.report.plots import causes as _causes
from varshift.report.plots import repairs as _repairs
from varshift.report.plots import shifts as _shifts
from varshift.report.plots.axes import plot

# Importing these registers their pictures.
_DRAWN = (_causes, _repairs, _shifts)

__all__ = ["plot"]
