"""The pictures of a page, one kind a file."""

from varshift._draw.page.pictures.bars import Factor, factor_bars
from varshift._draw.page.pictures.depth import Series, boxes, by_depth
from varshift._draw.page.pictures.heat import heat
from varshift._draw.page.pictures.intervals import Interval, intervals
from varshift._draw.page.pictures.pattern import Pattern, pattern
from varshift._draw.page.pictures.routes import route_diagram
from varshift._draw.page.pictures.scatter import Cloud, scatter

__all__ = [
    "Cloud",
    "Factor",
    "Interval",
    "Pattern",
    "Series",
    "boxes",
    "by_depth",
    "factor_bars",
    "heat",
    "intervals",
    "pattern",
    "route_diagram",
    "scatter",
]
