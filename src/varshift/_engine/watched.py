"""Norms that call no batch normalisation: InstanceNorm with running statistics, and hand-made ones.

So does a subclass of BatchNorm with arithmetic of its own, be it in one mode alone. They are met as
modules, on the way out, with what came in. So they can be measured, but nothing can be run in their
place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.normcall import NormCall
from varshift._engine.sites import Inventory, splits_of
from varshift._engine.tap import OnNorm
from varshift._torch.classes import BatchNorm, InstanceNorm
from varshift._torch.tensors import version

__all__ = ["ByModule", "Watched", "channels_second", "watched_norms", "watching"]

Pair = tuple[Tensor, Tensor]  # a mean and a spread

# running_mean, moving_mean, ema_mean, running_avg_mean …, and what the other statistic is called.
_MEAN = re.compile(r"_?(running|moving|mov|ema|avg|population|pop|global)_(\w+_)?mean")
_ALIKE = 0.02  # relative, between a momentum as named and as one update shows it
_LEFT = 0.01  # of an update's square, at most so much may be no step towards the batch's mean
_SAME = 1e-3  # relative or absolute, between what a norm gives and what torch's gives
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

    def copies(self) -> Pair | None:
        """Both as the module keeps them now; None where they are gone.

        Every norm with a class of its own is asked before it runs, and few turn out to be one of
        these: two operations, which a traced pass pays for one by one.
        """
        mean, spread = _held(self.module, self.mean), _held(self.module, self.spread)
        return None if mean is None or spread is None else (mean.clone(), spread.clone())

    def statistics(self, copies: Pair) -> Pair:
        """Mean and variance, (C,) each, the parts of a batch averaged."""
        mean, spread = (each.detach().reshape(self.splits, -1) for each in copies)
        return mean.mean(0), (spread**self.power).mean(0)

    def call(self, x: Tensor, before: Pair, out: Any) -> NormCall | None:
        """What came in, as a call of batch normalisation; None where no dimension has channels.

        `before`: the copies from before it ran. One that leaves them alone is frozen.
        """
        after, statistics = self.copies(), self.statistics(before)
        laid = channels_second(x, statistics[0].numel())
        if laid is None or after is None:
            return None
        now = self.statistics(after)
        updated = not torch.equal(now[0], statistics[0])
        update = (statistics[0], now[0]) if updated else None
        stuck = isinstance(self.module, BatchNorm) and self.module.momentum == 0
        call = NormCall(
            self.path,
            self.module,
            {
                "input": laid,
                "running_mean": statistics[0],
                "running_var": statistics[1],
                "training": self.module.training and (updated or self.each or stuck),
                "momentum": self._momentum(laid, update),
                "eps": float(getattr(self.module, "eps", 0.0)),
                "weight": getattr(self.module, "weight", None),
            },
            each=self.each,
        )
        return call if self.module.training else replace(call, own=not self._is_usual(call, out))

    def _is_usual(self, call: NormCall, out: Any) -> bool:
        """Whether evaluation made of these statistics what torch's BatchNorm does.

        A hand-made norm may be frozen on purpose, and its statistics be somebody else's.
        """
        if not (
            isinstance(self.module, BatchNorm) and self.splits == 1 and isinstance(out, Tensor)
        ):
            return False
        made = channels_second(out, call.arguments["running_mean"].numel())
        if made is None or made.shape != call.x.shape:
            return False
        # Not by F.batch_norm: a tap would meet that.
        mean, var = (call.arguments[name].double() for name in ("running_mean", "running_var"))
        weight, bias = (_held(self.module, name) for name in ("weight", "bias"))
        scale = (var + call.arguments["eps"]).rsqrt() * (1.0 if weight is None else weight)
        wanted = (call.x.double().movedim(1, -1) - mean) * scale + (0.0 if bias is None else bias)
        error = max(_SAME, 8 * torch.finfo(out.dtype).eps)
        return torch.allclose(made.double().movedim(1, -1), wanted, error, error)

    def _momentum(self, x: Tensor, update: Pair | None) -> float | None:
        """In torch's sense, the weight of the new batch; NaN where nobody knows.

        The attribute may mean what is kept of the old ones, as in Keras: one update tells.
        """
        named = getattr(self.module, "momentum", math.nan)
        torchs = isinstance(self.module, (BatchNorm, InstanceNorm))
        if named is None or self.each:
            return None if named is None else float(named)
        if update is None or math.isnan(weight := _weight(x, *update)):
            return float(named) if torchs else math.nan
        meant = (named, 1 - named) if isinstance(named, (int, float)) else ()
        return next((m for m in meant if math.isclose(m, weight, rel_tol=_ALIKE)), weight)


@dataclass(eq=False)
class ByModule:
    """Paths of the norms that were met as modules; `own` are those that `NormCall.own` tells of."""

    paths: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)

    def meeting(self, meet: OnNorm) -> OnNorm:
        """`meet`, with the paths kept."""

        def met(call: NormCall) -> NormCall | None:
            self.paths.add(call.path)
            if call.own:
                self.own.add(call.path)
            return meet(call)

        return met

    def join(self, others: Iterable[ByModule]) -> None:
        """Take in what other ranks have met."""
        for other in others:
            self.paths |= other.paths
            self.own |= other.own


def watched_norms(held: Inventory) -> dict[str, Watched]:
    """By path, every module that may be one."""
    found = {}
    for path, module in held.modules:
        if isinstance(module, torch.jit.ScriptModule):
            continue
        if isinstance(module, BatchNorm):
            if splits := splits_of(module) or int(_computes_itself(module)):
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
            enter = norm.module.register_forward_pre_hook(hook.enter, with_kwargs=True)
            hooks.callback(enter.remove)
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
        self._before: Pair | None = None
        self._version = 0

    def enter(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        x = next(iter((*inputs, *named.values())), None)
        self._met.discard(self._norm.path)
        self._x = x if isinstance(x, Tensor) and x.is_floating_point() else None
        self._version = 0 if self._x is None else version(self._x)
        with self._aside():
            self._before = self._norm.copies()

    def leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        x, self._x = self._x, None
        if x is None or version(x) != self._version or self._norm.path in self._met:
            return
        with self._aside():
            call = None if self._before is None else self._norm.call(x, self._before, output)
            if call is not None:
                self._meet(call)


def _computes_itself(module: nn.Module) -> bool:
    """Whether its forward is not torch's own, and so may call no batch normalisation."""
    if _held(module, "running_mean") is None:
        return False
    own = vars(module).get("forward", type(module).forward)
    return not (getattr(own, "__module__", None) or "").startswith("torch.nn.modules.")


def _weight(x: Tensor, before: Tensor, after: Tensor) -> float:
    """The weight that one update of a running mean gave to a batch; NaN where it was no average."""
    batch = x.detach().double().transpose(0, 1).flatten(1).mean(1)
    way, made = batch - before, after.double() - before
    square = float(way.square().sum())
    weight = float((way * made).sum()) / square if square else math.nan
    left = float((made - weight * way).square().sum())
    fits = left <= _LEFT * float(made.square().sum()) and 0 < weight <= 1 + _ALIKE
    return float(f"{weight:.3g}") if fits else math.nan


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


def channels_second(x: Tensor, channels: int) -> Tensor | None:
    """The same values with channels in dimension 1; they may be the last, as other libraries do."""
    if x.ndim > 1 and x.shape[1] == channels:
        return x
    if x.ndim > 1 and x.shape[-1] == channels:
        return x.movedim(-1, 1)
    return None
