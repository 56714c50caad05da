"""A training pass becomes noises, norms and routes."""

from varshift.structure.inspection import inspect, traced
from varshift.structure.results import (
    Layer,
    Line,
    Noise,
    Norm,
    Placement,
    Proof,
    Route,
    Sharing,
    Structure,
    alone,
)
from varshift.structure.sites import Handle, norm_handles, untracked

__all__ = [
    "Handle",
    "Layer",
    "Line",
    "Noise",
    "Norm",
    "Placement",
    "Proof",
    "Route",
    "Sharing",
    "Structure",
    "alone",
    "inspect",
    "norm_handles",
    "traced",
    "untracked",
]
