"""Pictures as SVG: `svg` draws one, `image` makes a text of it that stands for itself."""

from varshift._draw.pictures.svg import bars as _bars
from varshift._draw.pictures.svg import boxes as _boxes
from varshift._draw.pictures.svg import cloud as _cloud
from varshift._draw.pictures.svg import depth as _depth
from varshift._draw.pictures.svg import heat as _heat
from varshift._draw.pictures.svg import intervals as _intervals
from varshift._draw.pictures.svg import lines as _lines
from varshift._draw.pictures.svg import pattern as _pattern
from varshift._draw.pictures.svg import routes as _routes
from varshift._draw.pictures.svg.canvas import Canvas
from varshift._draw.pictures.svg.compact import compact
from varshift._draw.pictures.svg.drawing import svg
from varshift._draw.pictures.svg.image import STYLE, element, image

# Importing these registers their kinds.
_DRAWN = (_bars, _boxes, _cloud, _depth, _heat, _intervals, _lines, _pattern, _routes)

__all__ = ["STYLE", "Canvas", "compact", "element", "image", "svg"]
