"""Noise put in at the inputs of modules, the same in every pass but for its strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine import Batch, Insert
from varshift._footprint.places import NoiseKind, NoisePlace
from varshift.errors import ModelError

__all__ = ["Injector", "Nudge"]

_SEED = 20180115  # any number: with it two runs draw the same masks
_DROPS, _SIGNS = 0, 1  # streams of a place


@dataclass(frozen=True)
class Nudge:
    """A little more noise than is put in already, to see what follows from it.

    `size` is the relative variance it adds. With `sign` the input is multiplied by 1 ± √size, the
    sign drawn for each value, and in the other pass of a pair the other sign: what is linear in the
    noise cancels between the two. Without, dropout itself gets stronger: past weights a sum of many
    values sees the variance alone, before a pool or an activation the law matters.
    """

    size: float
    sign: int = 0


@dataclass(eq=False)
class Injector:
    """Puts noise in at places: `taus` of dropout, and a nudge here and there.

    `first` is the number of batches that other ranks pass before this one's.
    """

    numbers: Mapping[NoisePlace, int]
    taus: Mapping[NoisePlace, float]
    nudges: Mapping[NoisePlace, Nudge] = field(default_factory=dict)
    first: int = 0

    def begin(self, batch: Batch) -> None:
        """A batch starts."""
        self._batch = self.first + batch.index
        self._calls: dict[NoisePlace, int] = {}

    def inserts(self) -> dict[str, Insert]:
        """By module path, what stands before it."""
        by_path: dict[str, list[NoisePlace]] = {}
        for place in {**self.taus, **self.nudges}:
            if self.taus.get(place, 0.0) > 0 or place in self.nudges:
                by_path.setdefault(place.path, []).append(place)
        return {path: self._insert(places) for path, places in by_path.items()}

    def _insert(self, places: list[NoisePlace]) -> Callable[[nn.Module, tuple[Any, ...]], Any]:
        def insert(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
            if not noisable(inputs):
                raise ModelError(
                    f"{places[0].path!r} got no tensor of numbers as its first argument, so no "
                    "noise can be put on its input; leave it out of places="
                )
            x = inputs[0]
            for place in places:
                x = x * self._factor(place, x)
            return (x, *inputs[1:])

        return insert

    def _factor(self, place: NoisePlace, x: Tensor) -> Tensor:
        """Mean-one noise for `x`, in the shape that its kind shares values over."""
        call = self._calls.get(place, 0)
        self._calls[place] = call + 1
        tau, nudge = max(self.taus.get(place, 0.0), 0.0), self.nudges.get(place)
        if nudge is not None and not nudge.sign:
            tau += nudge.size
        factor = self._drop(place, call, tau, x)
        if nudge is not None and nudge.sign:
            # Relative variances multiply: (1 + τ)(1 + s) = 1 + τ + size.
            reach = nudge.sign * (nudge.size / (1 + tau)) ** 0.5
            up = self._uniform(place, call, _SIGNS, x) < 0.5
            factor = factor * torch.where(up, 1 + reach, 1 - reach).to(x.dtype)
        return factor

    def _drop(self, place: NoisePlace, call: int, tau: float, x: Tensor) -> Tensor:
        if tau <= 0:
            return x.new_ones(())
        kept = self._uniform(place, call, _DROPS, x) < 1 / (1 + tau)
        return kept * torch.tensor(1 + tau, dtype=x.dtype, device=x.device)

    def _uniform(self, place: NoisePlace, call: int, stream: int, x: Tensor) -> Tensor:
        # The same uniforms in every pass: from pass to pass only τ moves the figures.
        parts = (self.numbers[place], self._batch, call, stream)
        seed = _SEED
        for part in parts:
            seed = (seed * 1_000_003 + part) % (1 << 62)
        generator = torch.Generator(device=x.device).manual_seed(seed)
        return torch.rand(_shared(x, place.noise), generator=generator, device=x.device)


def noisable(inputs: tuple[Any, ...]) -> bool:
    """Whether noise can be put on the first of a module's arguments."""
    return bool(inputs) and isinstance(inputs[0], Tensor) and inputs[0].is_floating_point()


def _shared(x: Tensor, noise: NoiseKind) -> tuple[int, ...]:
    """The shape of noise on `x`: one value for each channel of each sample, or for each element."""
    if noise == "element":
        return tuple(x.shape)
    return (*x.shape[:2], *(1 for _ in x.shape[2:]))
