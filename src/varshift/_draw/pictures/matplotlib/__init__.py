"""Pictures by matplotlib, for papers and notebooks: `draw` draws one on axes."""

from varshift._draw.pictures.matplotlib import channels as _channels
from varshift._draw.pictures.matplotlib import charts as _charts
from varshift._draw.pictures.matplotlib import depth as _depth
from varshift._draw.pictures.matplotlib import heat as _heat
from varshift._draw.pictures.matplotlib import lines as _lines
from varshift._draw.pictures.matplotlib import rows as _rows
from varshift._draw.pictures.matplotlib.charts import png
from varshift._draw.pictures.matplotlib.drawing import draw, fresh_axes

# Importing these registers their kinds.
_DRAWN = (_channels, _charts, _depth, _heat, _lines, _rows)

__all__ = ["draw", "fresh_axes", "png"]
