"""The pictures of a page, one kind a file."""

from varshift.report.page.pictures.bars import Factor, factor_bars
from varshift.report.page.pictures.depth import Series, boxes, by_depth
from varshift.report.page.pictures.heat import heat
from varshift.report.page.pictures.intervals import Interval, intervals
from varshift.report.page.pictures.routes import route_diagram
from varshift.report.page.pictures.scatter import Cloud, scatter

__all__ = [
    "Cloud",
    "Factor",
    "Interval",
    "Series",
    "boxes",
    "by_depth",
    "factor_bars",
    "heat",
    "intervals",
    "route_diagram",
    "scatter",
]
