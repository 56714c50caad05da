"""Proof of a route: draw one noise source anew, leave every other draw alone, watch the norm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.borrow.model import borrowed
from varshift._engine.borrow.rng import SEEDS, State, set_rng_state
from varshift._engine.normcall import NormCall
from varshift._engine.sites import Inventory
from varshift._engine.trace.modules import module_stack
from varshift._engine.trace.noises import Source
from varshift._engine.trace.numbers import Redrawn
from varshift._engine.trace.redraw import Redraw, anew, extreme
from varshift._engine.watched import watched_norms, watching
from varshift.results import NotShown, Proof, Route

__all__ = ["prove"]

_PASSES = 8  # whose draws differ and may still round to the same mask


@dataclass(frozen=True, eq=False)
class _Pass:
    """What one norm received, and whether a draw has come out otherwise."""

    seen: list[Tensor]
    changed: bool


def prove(
    model: nn.Module,
    batch: Batch,
    forward: Forward | None,
    route: Route,
    source: Source,
    start: State,
) -> Proof:
    """Run the pass as it was, again unchanged, and with the draws of `source` made anew.

    `start` are the states of the generators in which the draws of the source were numbered.
    """
    with borrowed(model) as inner:
        if not inner.training:
            inner.train()

        def run(redraw: Redraw | None = None, seed: int | None = None) -> _Pass:
            set_rng_state(start)
            if seed is not None:
                SEEDS[source.generator](seed)
            draws = frozenset(source.draws)
            with borrowed(inner), _watched(inner, batch, route.norm, draws, redraw) as (mode, seen):
                call(inner, batch, forward)
            return _Pass(seen, mode.changed or seed is not None)

        first, again = run(), run()
        floor = _difference(first.seen, again.seen)
        difference, changed = floor, False
        for other in _others(source, run):
            changed = changed or other.changed
            difference = _difference(first.seen, other.seen)
            if difference > floor:
                break
    unshown = None if first.seen else NotShown.NOT_REACHED
    if not changed:
        drawn = bool(source.draws) or bool(source.generator)
        unshown = NotShown.NEVER_CHANGED if drawn else NotShown.KEPT
    return Proof(route, difference > floor, difference, floor, changed, unshown)


def _others(source: Source, run: Callable[..., _Pass]) -> Iterator[_Pass]:
    """Passes in which the source has drawn otherwise, the likelier ones first."""
    if source.generator:
        yield from (run(seed=seed) for seed in range(1, _PASSES + 1))
        return
    if not source.draws:
        return
    for seed in range(1, _PASSES + 1):
        other = run(anew(seed))
        yield other
        if not other.changed:
            break
    # `rand() < 0.001` draws other numbers every time, and hardly ever another mask. The ends of
    # what it can draw are draws too, and they are on both sides of any threshold.
    for low in (True, False):
        yield run(extreme(low))


def _difference(one: list[Tensor], other: list[Tensor]) -> float:
    if [x.shape for x in one] != [x.shape for x in other]:
        return float("inf")
    return max((float((x - y).abs().max()) for x, y in zip(one, other, strict=True)), default=0.0)


@contextmanager
def _watched(
    model: nn.Module, batch: Batch, path: str, draws: frozenset[int], redraw: Redraw | None
) -> Iterator[tuple[Redrawn, list[Tensor]]]:
    """In the block draws are made anew; what the norm at `path` receives goes into the list."""
    seen: list[Tensor] = []
    met: set[str] = set()

    def meets(call: NormCall) -> None:
        met.add(call.path)
        if call.path == path:
            seen.append(call.x.detach().to("cpu", torch.float64, copy=True))

    held = Inventory(model)
    with module_stack(held) as modules:
        mode = Redrawn(model, modules, batch.value, on_norm=meets, draws=draws, redraw=redraw)
        with mode, watching(watched_norms(held), meets, met, mode.aside):
            yield mode, seen
