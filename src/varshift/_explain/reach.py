"""Which sources may change a place, so that nothing is kept of pairs that never meet."""

from __future__ import annotations

from varshift._engine import Recording
from varshift._explain.design import Design
from varshift.results import Structure

__all__ = ["Reach"]


class Reach:
    """Asked by place: a norm is reached by routes, an output by every source."""

    def __init__(self, structure: Structure, train: Recording) -> None:
        self._met = {norm.path for norm in structure.norms if norm.calls}
        self._norms = self._met | set(train.stored)
        self._routes = {(route.noise, route.norm) for route in structure.routes}

    def sources(self, place: str, design: Design) -> list[str]:
        """Those of the design that reach the place."""
        if place not in self._norms:
            return design.sources
        return [source for source in design.sources if (source, place) in self._routes]

    def subsets(self, place: str, design: Design) -> list[int]:
        """The subsets of the design that may change the place."""
        found = {design.sources.index(source) for source in self.sources(place, design)}
        unknown = place in self._norms and place not in self._met  # the traced batch left it out
        if found or unknown or design.nobody:
            found.add(design.all)
        if design.nobody:
            found.add(design.none)
        return sorted(found)
