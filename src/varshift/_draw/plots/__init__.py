"""One static picture per result, drawn by matplotlib, for papers."""

from varshift._draw.plots import causes as _causes
from varshift._draw.plots import monitors as _monitors
from varshift._draw.plots import repairs as _repairs
from varshift._draw.plots import shifts as _shifts
from varshift._draw.plots.axes import plot

# Importing these registers their pictures.
_DRAWN = (_causes, _monitors, _repairs, _shifts)

__all__ = ["plot"]
