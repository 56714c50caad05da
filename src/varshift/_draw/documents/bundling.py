"""Routes that are the same but for numbers in their names, as one."""

from __future__ import annotations

from varshift._draw.figures import through
from varshift._draw.pictures.described import Bundle
from varshift.results import Structure

__all__ = ["bundled"]


def bundled(structure: Structure) -> list[Bundle]:
    """The direct routes."""
    return [
        Bundle(route.noise, route.norm, route.placement, through(route))
        for route in structure.direct()
    ]
