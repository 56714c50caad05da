"""Laying the layers of a file onto a torch model."""

from varshift._loading.foreign.laying.laying import laid

__all__ = ["laid"]
