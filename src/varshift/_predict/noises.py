"""What noise is asked for (a rate, a law of theory, a noise layer), and how it is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn

from varshift.errors import UsageError, listed
from varshift.results import Noise, Structure
from varshift.results.structure import Sharing
from varshift.theory.noise import Noise as TheoryNoise
from varshift.theory.noise import drop_p_of, tau_of, tau_of_beta, tau_of_sigma

__all__ = ["DRAWN", "Asked", "asked_for", "drawn", "law_of", "strength", "wanted"]

Shape = Literal["bernoulli", "uniform", "gaussian"]

# What can be drawn anew: of any other sharing it is not known which values share a draw.
DRAWN: frozenset[Sharing] = frozenset({"element", "channel", "sample"})
_SHAPES: dict[str, Shape] = {"uniform": "uniform", "gaussian": "gaussian"}


@dataclass(frozen=True)
class Asked:
    """A mean-one noise: relative variance, shape, and what shares one draw (None: as now).

    `two_sided`: a law of two values, neither of them 0, so that one may be negative.
    """

    tau: float
    shape: Shape = "bernoulli"
    sharing: Sharing | None = None
    two_sided: bool = False

    @property
    def signed(self) -> bool:
        """Whether a draw may be negative, so that it does not pass through a ReLU as a factor."""
        below = self.shape == "uniform" and self.tau > 1 / 3  # its ends are 1 ± √(3τ)
        return self.shape == "gaussian" or below or self.two_sided


def asked_for(value: Any) -> Asked:
    """`0.3` is a drop_p; `theory.uout(0.2)` or a layer with `p`, `beta` or `sigma` is itself."""
    if isinstance(value, Asked):
        return value
    if isinstance(value, bool):
        raise UsageError(f"noise is {value}; pass a drop_p, a noise layer or theory.uout(0.2)")
    if isinstance(value, (int, float)):
        return Asked(tau_of(float(value)))
    if isinstance(value, TheoryNoise):
        return Asked(value.tau, "bernoulli", None if value.sharing == "element" else value.sharing)
    if isinstance(value, nn.Module):
        return _of_module(value)
    raise UsageError(
        f"noise is a {type(value).__name__}; pass a drop_p, a noise layer or theory.uout(0.2)"
    )


def _of_module(module: nn.Module) -> Asked:
    sharing: Sharing | None = None
    if isinstance(module, (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)):
        sharing = "channel"
    # A layer that says nothing, or "element" as by default, stands for the amount of noise alone.
    said: Sharing | None = getattr(module, "sharing", None)
    sharing = sharing if said in (None, "element") else said
    for name, tau, shape in (
        ("beta", tau_of_beta, "uniform"),
        ("sigma", tau_of_sigma, "gaussian"),
        ("p", tau_of, "gaussian" if "Gaussian" in type(module).__name__ else "bernoulli"),
    ):
        rate = getattr(module, name, None)
        if isinstance(rate, (int, float)):
            return Asked(tau(float(rate)), shape, sharing)  # type: ignore[arg-type]
    raise UsageError(f"{type(module).__name__} has no p, beta or sigma to read its noise from")


def law_of(noise: Noise) -> Asked | None:
    """A source's own law, where it is one of those in closed form."""
    if not noise.active or noise.tau is None:
        return None
    if noise.sharing not in DRAWN:
        return None
    shape = _SHAPES.get(noise.law, "bernoulli")
    two_sided = shape == "bernoulli" and noise.drop_p is None
    return Asked(noise.tau, shape, noise.sharing, two_sided)


def wanted(noise: Mapping[str, Any] | None, structure: Structure) -> dict[str, Asked]:
    """What is asked of each source, by its name; globs are matched against names and paths."""
    found: dict[str, Asked] = {}
    sources = [item for item in structure.noises if item.module != ""]
    for pattern, value in (noise or {}).items():
        hits = [
            source
            for source in sources
            if fnmatchcase(source.name, pattern) or fnmatchcase(source.path, pattern)
        ]
        if not hits:
            known = listed(source.name for source in sources)
            raise UsageError(f"no noise source matches {pattern!r}; there are {known}")
        found |= {source.name: asked_for(value) for source in hits}
    return found


def drawn(asked: Asked, like: Tensor, sharing: Sharing) -> Tensor:
    """A fresh draw of the noise, shaped to multiply `like`; dimension 0 is taken for samples."""
    sharing = asked.sharing or sharing
    if sharing == "channel" and like.ndim > 1:
        shape = (*like.shape[:2], *(1,) * (like.ndim - 2))
    elif sharing == "sample":
        shape = (len(like), *(1,) * (like.ndim - 1))
    else:
        shape = tuple(like.shape)
    blank = torch.empty(shape, dtype=like.dtype, device=like.device)
    if asked.shape == "gaussian":
        return blank.normal_(1.0, math.sqrt(asked.tau))
    if asked.shape == "uniform":
        beta = math.sqrt(3 * asked.tau)
        return blank.uniform_(1 - beta, 1 + beta)
    keep = 1 - drop_p_of(asked.tau)
    return blank.bernoulli_(keep).div_(keep)


def strength(asked: Asked, own: float | None, noisy: Tensor, silent: Tensor) -> float:
    """By what to multiply the noise that was drawn, for it to be as strong as is asked.

    `own`: its relative variance τ; read off this very draw where it is not known.
    """
    if own is None:
        size = silent.double().square().mean()
        own = float((noisy - silent).double().square().mean() / size) if size > 0 else 0.0
    return math.sqrt(asked.tau / own) if own > 0 else 1.0
