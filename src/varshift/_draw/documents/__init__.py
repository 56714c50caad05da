"""One builder per kind of result. Importing this registers them all."""

from varshift._draw.documents.base import document

__all__ = ["document"]
