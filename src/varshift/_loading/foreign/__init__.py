"""Files of other frameworks: read as layers, laid onto a torch model by order and shape."""

from varshift._loading.foreign.formats import source_of
from varshift._loading.foreign.layers import ForeignFile, ForeignLayer
from varshift._loading.foreign.reading import read_foreign

__all__ = ["ForeignFile", "ForeignLayer", "read_foreign", "source_of"]
