"""Draws that become Python numbers: where in a pass such a number is used.

A share by which samples are mixed, a place from which is cropped: the number leaves torch, and the
operation that is given it shows none of that. With the draw made anew, it is given another number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from torch import nn

from varshift._engine.regime import Mode
from varshift._engine.trace.noises import Source
from varshift._engine.trace.numbers import NumberLog, differing
from varshift._engine.trace.redraw import anew
from varshift._engine.trace.tracer import Tracer

__all__ = ["GENERATORS", "Follow", "asks", "by_generator", "decided"]

GENERATORS = ("numpy", "python")
_SEEDS = (1, 2, 3)  # a number of a few values may come out the same
_MOST = 4  # sources in torch that are asked, a pass each

T = TypeVar("T", bound=Tracer)


class Follow(Protocol):
    """Makes a pass from the same random numbers, but for one generator; and what moved in it."""

    def __call__(
        self, mode: Mode, build: Callable[..., T], generator: str = "", seed: int = 0
    ) -> tuple[T, tuple[str, ...]]: ...


def asks(tracer: Tracer, moved: tuple[str, ...]) -> bool:
    """Whether a pass has drawn what may have become a Python number."""
    return any(name in moved for name in GENERATORS) or bool(_deciding(tracer))


def decided(
    model: nn.Module, training: Tracer, moved: tuple[str, ...], follow: Follow
) -> Mapping[int, Source]:
    """By its ordinal in the training pass, the operation that is given such a number.

    Left out is what evaluation is given too.
    """
    if not training.sites or not asks(training, moved):
        return {}
    usual, _ = follow("training", NumberLog)
    found: dict[int, Source] = {}
    for name in (each for each in GENERATORS if each in moved):
        for seed in _SEEDS:
            other, _ = follow("training", NumberLog, name, seed)
            at = differing(usual.log, other.log)
            found |= dict.fromkeys(at, by_generator(model, name))
    for source in _deciding(training)[:_MOST]:
        draws = frozenset(source.draws)
        other, _ = follow("training", partial(NumberLog, draws=draws, redraw=anew(1)))
        found |= dict.fromkeys(differing(usual.log, other.log), source)
    if found:
        calm, there = follow("evaluation", NumberLog)
        if there:
            same = set(calm.log)
            found = {at: source for at, source in found.items() if usual.log[at] not in same}
    return found


def _deciding(tracer: Tracer) -> list[Source]:
    return [source for source in tracer.sources if source.number]


def by_generator(module: nn.Module, name: str) -> Source:
    """The source that stands for all that a generator outside torch has drawn."""
    return Source("", module, f"{name} random", None, generator=name)
