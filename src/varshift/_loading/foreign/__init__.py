"""Files of other frameworks: read as layers, laid onto a torch model by order and shape."""

from varshift._loading.foreign.formats import source_of, unread
from varshift._loading.foreign.layers import ForeignFile, ForeignLayer
from varshift._loading.foreign.laying import laid
from varshift._loading.foreign.laying.mismatching import Mismatch
from varshift._loading.foreign.reading import read_foreign

__all__ = ["ForeignFile", "ForeignLayer", "Mismatch", "laid", "read_foreign", "source_of", "unread"]
