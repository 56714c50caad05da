"""Noise sources as they are met: one per module, operation and line, however often it draws."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from varshift._engine.trace.laws import UNKNOWN, Law
from varshift._torch.classes import Dropout
from varshift.results import Line, Noise
from varshift.results.structure import Sharing

__all__ = ["RATES", "Source", "named", "silent_noises", "unused"]

# Attributes that modules keep the rate of their noise in.
RATES = ("p", "drop_prob", "drop_p", "drop_rate", "dropout", "rate")
_LOOKS_NOISY = re.compile("drop|noise", re.IGNORECASE)
_ALPHA = ("alpha_dropout", "feature_alpha_dropout")


@dataclass
class Source:
    """A noise source being traced; `draws` are the ordinals of its draws in the pass.

    `number`: a draw has become a Python number, not only a yes or no. `repeats`: the draw that met
    data last had met data before; `twice`: one has. `kept` says where the model keeps one that was
    drawn ahead; `generator` which one outside torch made it. `aside`: it acts in a branch that only
    training runs. `shared`: all samples of a batch have met one and the same draw. `mean`: the
    factor that it is on average where it first meets data; NaN where it is none, or of unknown law.
    """

    path: str
    module: nn.Module
    operation: str
    line: Line | None
    draws: list[int] = field(default_factory=list)
    law: str = ""
    drop_p: float | None = None
    tau: float | None = None
    sharing: Sharing = "other"
    met: bool = False
    number: bool = False
    repeats: bool = False
    twice: bool = False
    kept: str = ""
    generator: str = ""
    aside: bool = False
    shared: bool = False
    mean: float = math.nan
    _met_after: int = -1  # how often it had drawn when it last met data

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from others, in any pass."""
        return (self.path, self.operation, self.line, self.kept)

    @property
    def label(self) -> str:
        """What its name begins with."""
        if self.generator:
            return f"({self.generator} random)"
        return self.kept or self.path or "(model)"

    @property
    def by_batch(self) -> bool:
        """Whether samples of a batch have a draw in common, as far as is known.

        What never met data, or has become a Python value, may have acted on all of them alike.
        """
        followed = self.met and self.law != "control-flow"
        return not self.kept and (self.shared or not followed)

    def meet(self, law: str, drop_p: float | None, tau: float | None, sharing: Sharing) -> None:
        """Record how it first met data; a later meeting that disagrees leaves the rate unknown."""
        if not self.met:
            self.law, self.drop_p, self.tau, self.sharing = law, drop_p, tau, sharing
        elif law == self.law and drop_p != self.drop_p:
            self.drop_p = self.tau = None
        self.met = True

    def apply(self, how: str, law: Law, block: bool, sharing: Sharing) -> None:
        """Read the law off the operation in which the bare draw met data."""
        self.repeats = self._met_after == len(self.draws)
        self.twice = self.twice or self.repeats
        self._met_after = len(self.draws)
        if not self.met:
            self.mean = _mean_factor(how, law)
        sharing = "block" if block else sharing
        if self.operation in _ALPHA:
            if not self.met:  # the mask multiplies first; what is added later is no rate
                self.meet("alpha", law.drop_p, None, sharing)
        elif how == "multiply":
            self.meet(law.kind, law.drop_p, law.tau, sharing)
        elif how in ("keep", "drop") and law.kind == "bernoulli":
            chance = law.chance if law.first else 1 - law.chance
            drop_p = chance if how == "drop" else 1 - chance
            self.meet("bernoulli", drop_p, drop_p / (1 - drop_p) if drop_p < 1 else None, sharing)
        elif how == "add":
            self.meet("additive", None, None, sharing)
        else:
            self.meet("unknown", None, None, sharing)

    def alike(self, other: Source) -> bool:
        """Whether another pass drew the same noise from it, as far as its law is known."""
        if self.kept or self.generator:
            return False  # followed only where evaluation has shown other values, or none
        mine, theirs = (s.noise("") for s in (self, other))
        return (mine.law, mine.drop_p, mine.tau) == (theirs.law, theirs.drop_p, theirs.tau)

    def noise(self, name: str) -> Noise:
        """The finished record."""
        law = self.law or UNKNOWN.kind
        drop_p = self.drop_p
        if drop_p is None and law == "unknown" and _LOOKS_NOISY.search(type(self.module).__name__):
            drop_p = _rate(self.module)
        return Noise(
            name=name,
            path=self.path,
            module="" if self.generator else type(self.module).__name__,
            operation=self.operation,
            law="control-flow" if self.generator else law,
            drop_p=_tidy(drop_p),
            tau=_tidy(self.tau),
            sharing=self.sharing,
            active=True,
            calls=1 if self.generator else len(self.draws),
            line=self.line,
        )


def _mean_factor(how: str, law: Law) -> float:
    """What data is multiplied by on average."""
    if how in ("keep", "drop") and law.kind == "bernoulli":
        yes = law.chance if law.first else 1 - law.chance
        return yes if how == "keep" else 1 - yes
    if how == "add":  # what adds nothing on average leaves it as it is
        return 1.0 if law.mean == 0 else math.nan
    return law.mean if how == "multiply" else math.nan


def named(sources: Iterable[Source]) -> dict[str, Source]:
    """Unique names: the module's path, with #2, #3 … for further sources of the same module."""
    found: dict[str, Source] = {}
    for source in sources:
        found[unused(source.label, found)] = source
    return found


def unused(base: str, taken: Container[str]) -> str:
    """`base`, or `base#2`, `base#3` … where it is taken."""
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}#{number}"
    return name


def silent_noises(
    modules: Iterable[tuple[str, nn.Module]], noisy: set[str], called: set[str]
) -> list[Noise]:
    """Noise modules by class that drew nothing: rate 0, in eval mode, or not reached."""
    found = []
    for path, module in modules:
        if path in noisy or not _is_noise_module(module):
            continue
        found.append(
            Noise(
                name=path or "(model)",
                path=path,
                module=type(module).__name__,
                operation=_why_silent(module, path in called),
                law="unknown",
                drop_p=_rate(module),
                tau=None,
                sharing="other",
                active=False,
                calls=0,
                line=None,
            )
        )
    return found


def _is_noise_module(module: nn.Module) -> bool:
    if isinstance(module, (Dropout, nn.RReLU)):
        return True
    if not _LOOKS_NOISY.search(type(module).__name__):
        return False
    return not module._modules and not module._parameters and _rate(module) is not None


def _why_silent(module: nn.Module, called: bool) -> str:
    if not called:
        return "not reached"
    # One of rate 0 is silent in either mode, whichever it was looked at in.
    return "silent" if module.training or _rate(module) == 0 else "in eval mode"


def _tidy(value: float | None) -> float | None:
    """Without the rounding of 1 − (1 − drop_p): 0.2, not 0.19999999999999996."""
    return None if value is None else float(f"{value:.12g}")


def _rate(module: Any) -> float | None:
    for name in RATES:
        value = getattr(module, name, None)
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            value = float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
    return None
