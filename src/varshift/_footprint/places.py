"""Where noise may have stood: inputs of modules, and what kind of noise on each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from varshift._engine import walk
from varshift._torch.classes import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    LPPool,
    MaxPool,
)
from varshift.errors import UsageError, listed

__all__ = [
    "WEIGHTED",
    "NoiseKind",
    "NoisePlace",
    "check_places",
    "coded",
    "dropouts",
    "kinds_at",
    "likely_places",
]

NoiseKind = Literal["element", "channel"]

WEIGHTED = (nn.Linear, Conv)
_POOLS = (AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, LPPool, MaxPool)
_WHOLE_CHANNELS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.FeatureAlphaDropout)


@dataclass(frozen=True)
class NoisePlace:
    """Noise on the input of the module at `path`: a value of its own for each element or channel.

    `usual`: what is tried first; the others are taken only where they fit far better. `smooth`:
    what follows straight away, weights or a norm, knows noise by its variance alone.
    """

    path: str
    noise: NoiseKind
    usual: bool
    smooth: bool


def check_places(model: nn.Module, places: Iterable[str] | None) -> list[str] | None:
    """The places as a list; refuses what is no place before anything runs."""
    if places is None:
        return None
    if isinstance(places, str):
        raise UsageError(f"places is the text {places!r}; pass a list of paths, as in [{places!r}]")
    asked = list(dict.fromkeys(places))
    if not asked:
        raise UsageError("places is empty; name layers, or leave it out to try every one")
    modules = dict(walk(model))
    for path in asked:
        if path not in modules:
            raise UsageError(
                f"places names {path!r}, which the model does not have; it has "
                f"{listed(likely_places(model))}"
            )
    return asked


def likely_places(model: nn.Module) -> list[str]:
    """Paths of weights, norms and pools, and of dropout modules that are still there."""
    named = [(path, module) for path, module in walk(model) if path]
    kinds = ((*WEIGHTED, BatchNorm), (Dropout, *_POOLS))  # the first names a place, if it can
    return [path for fit in kinds for path, module in named if isinstance(module, fit)]


def dropouts(model: nn.Module) -> list[str]:
    """Paths of the dropout modules that are still there."""
    return [path for path, module in walk(model) if isinstance(module, Dropout)]


def kinds_at(path: str, module: nn.Module, maps: bool) -> list[NoisePlace]:
    """The noises that may have stood there; `maps`: its input has whole channels to drop.

    Straight before a norm both kinds are one: they add the same to its variance.
    """
    whole = isinstance(module, _WHOLE_CHANNELS)
    smooth = isinstance(module, (*WEIGHTED, BatchNorm))
    usual = smooth or isinstance(module, Dropout)
    found = [NoisePlace(path, "element", usual and not whole, smooth)]
    if maps and not isinstance(module, BatchNorm):
        found.append(NoisePlace(path, "channel", whole, smooth))
    return found


def coded(model: nn.Module, paths: Iterable[str]) -> float | None:
    """drop_p of the first dropout module among `paths`."""
    modules = dict(walk(model))
    held = [modules[path] for path in paths]
    return next((float(each.p) for each in held if isinstance(each, Dropout)), None)
