"""One builder per kind of result. Importing this registers them all."""

from varshift._draw.documents import (  # noqa: F401  their kinds of result register themselves
    calculation,
    findings,
    footprint,
    monitoring,
    recalibration,
    repair,
    rewrite,
)
from varshift._draw.documents.base import document

__all__ = ["document"]
