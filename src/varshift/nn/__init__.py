"""Noise layers that people put into models."""

from varshift.nn import functional
from varshift.nn.channels import (
    GaussianDropout1d,
    GaussianDropout2d,
    GaussianDropout3d,
    Uout1d,
    Uout2d,
    Uout3d,
)
from varshift.nn.layers import GaussianDropout, Uout

__all__ = [
    "GaussianDropout",
    "GaussianDropout1d",
    "GaussianDropout2d",
    "GaussianDropout3d",
    "Uout",
    "Uout1d",
    "Uout2d",
    "Uout3d",
    "functional",
]
