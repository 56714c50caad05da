"""Norms that call no batch normalisation: InstanceNorm with running statistics, and hand-made ones.

They are met as modules, on the way out, with what came in. So they can be measured, but nothing can
be run in their place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.normcall import NormCall
from varshift._engine.sites import Inventory, splits_of
from varshift._torch.classes import BatchNorm, InstanceNorm
from varshift._torch.tensors import version

__all__ = ["Watched", "watched_norms", "watching"]

# running_mean, moving_mean, ema_mean, running_avg_mean …, and what the other statistic is called.
_MEAN = re.compile(r"_?(running|moving|mov|ema|avg|population|pop|global)_(\w+_)?mean")
_SPREADS = {"variance": 1, "var": 1, "std": 2, "stddev": 2, "sigma": 2}  # and the power it takes


@dataclass(frozen=True, eq=False)
class Watched:
    """A module that normalises by running statistics, and the names these have in it.

    `power`: 2 where it keeps a deviation, not a variance. `splits`: of how many parts of a batch it
    keeps statistics side by side. `each`: each sample has moments of its own in training.
    """

    path: str
    module: nn.Module
    mean: str
    spread: str
    power: int
    each: bool = False
    splits: int = 1

    @property
    def statistics(self) -> tuple[Tensor, Tensor] | None:
        """Mean and variance, (C,) each, the parts of a batch averaged; None where they are gone."""
        held = [_held(self.module, name) for name in (self.mean, self.spread)]
        if any(each is None for each in held):
            return None
        mean, spread = (each.detach().reshape(self.splits, -1) for each in held if each is not None)
        return mean.mean(0).clone(), (spread**self.power).mean(0)

    def call(self, x: Tensor, statistics: tuple[Tensor, Tensor]) -> NormCall | None:
        """What came in, as a call of batch normalisation; None where no dimension has channels.

        `statistics`: before it ran. One that leaves them alone is frozen.
        """
        laid, now = _channels_second(x, statistics[0].numel()), self.statistics
        if laid is None or now is None:
            return None
        updated = not torch.equal(now[0], statistics[0])
        return NormCall(
            self.path,
            self.module,
            {
                "input": laid,
                "running_mean": statistics[0],
                "running_var": statistics[1],
                "training": self.module.training and (updated or self.each),
                "momentum": getattr(self.module, "momentum", None),
                "eps": float(getattr(self.module, "eps", 0.0)),
                "weight": getattr(self.module, "weight", None),
            },
            each=self.each,
        )


def watched_norms(held: Inventory) -> dict[str, Watched]:
    """By path, every module that may be one."""
    found = {}
    for path, module in held.modules:
        if isinstance(module, torch.jit.ScriptModule):
            continue
        if isinstance(module, BatchNorm):
            if splits := splits_of(module):
                found[path] = Watched(path, module, "running_mean", "running_var", 1, splits=splits)
        elif (names := _names(module)) is not None:
            each = isinstance(module, InstanceNorm)
            found[path] = Watched(path, module, *names, each=each)
    return found


@contextmanager
def watching(
    norms: Mapping[str, Watched],
    meet: Callable[[NormCall], Any],
    met: set[str],
    aside: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[None]:
    """In the block, each is shown to `meet` when it is through.

    Not where it has called a batch normalisation itself, whose path is in `met` by then. What is
    computed here is computed inside `aside()`.
    """
    with ExitStack() as hooks:
        for norm in norms.values():
            hook = _Hook(norm, meet, met, aside)
            hooks.callback(norm.module.register_forward_pre_hook(hook.enter).remove)
            hooks.callback(norm.module.register_forward_hook(hook.leave).remove)
        yield


class _Hook:
    """Keeps what came in until the module is through; what was written to in place is let go."""

    def __init__(
        self,
        norm: Watched,
        meet: Callable[[NormCall], Any],
        met: set[str],
        aside: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._norm, self._meet, self._met, self._aside = norm, meet, met, aside
        self._x: Tensor | None = None
        self._before: tuple[Tensor, Tensor] | None = None
        self._version = 0

    def enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0] if inputs else None
        self._met.discard(self._norm.path)
        self._x = x if isinstance(x, Tensor) and x.is_floating_point() else None
        self._version = 0 if self._x is None else version(self._x)
        with self._aside():
            self._before = self._norm.statistics

    def leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        x, self._x = self._x, None
        if x is None or version(x) != self._version or self._norm.path in self._met:
            return
        with self._aside():
            call = None if self._before is None else self._norm.call(x, self._before)
            if call is not None:
                self._meet(call)


@cache
def _is_mean(name: str) -> bool:
    return _MEAN.fullmatch(name) is not None


def _names(module: nn.Module) -> tuple[str, str, int] | None:
    """Names of a mean and of its spread, and the power that makes that a variance."""
    held = [*module._buffers, *vars(module), *module._parameters]
    for name in held:
        if not _is_mean(name):
            continue
        stem = name.removesuffix("mean")
        for word, power in _SPREADS.items():
            mean, spread = _held(module, name), _held(module, stem + word)
            if mean is not None and spread is not None and mean.numel() == spread.numel() > 0:
                return name, stem + word, power
    return None


def _held(module: nn.Module, name: str) -> Tensor | None:
    for holder in (module._buffers, vars(module), module._parameters):
        value = holder.get(name)
        if isinstance(value, Tensor):
            return value
    return None


def _channels_second(x: Tensor, channels: int) -> Tensor | None:
    """The same values with channels in dimension 1; they may be the last, as other libraries do."""
    if x.ndim > 1 and x.shape[1] == channels:
        return x
    if x.ndim > 1 and x.shape[-1] == channels:
        return x.movedim(-1, 1)
    return None
