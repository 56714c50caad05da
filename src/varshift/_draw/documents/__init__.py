"""One builder per kind of result. Importing this registers them all."""

from varshift._draw.documents import (  # noqa: F401  each registers its kind of result
    calculation,
    diagnosis,
    explanation,
    findings,
    footprint,
    measurement,
    monitoring,
    prediction,
    recalibration,
    repair,
    rewrite,
    structure,
)
from varshift._draw.documents.base import document

__all__ = ["document"]
