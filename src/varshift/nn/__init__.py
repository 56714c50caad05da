"""Noise layers that people put into models."""

from varshift.nn import functional
from varshift.nn.layers import GaussianDropout, Uout

__all__ = ["GaussianDropout", "Uout", "functional"]
