"""One draw of a pass made anew: every other draw stays as it was."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from varshift._engine.borrow.rng import rng_state, set_rng_state
from varshift._engine.trace.laws import drawn_law
from varshift._engine.trace.ops import FRESH_NOISE, Operation

__all__ = ["Redraw", "anew", "extreme", "redrawn"]

# Tries at a draw that has to differ: one that does with probability 0.003 fails e^-15 of the time.
_TRIES = 5000
_MOST = 2**24  # values drawn in all those tries

# Has an operation that has run come out otherwise than `usual`; `again` runs it once more.
Redraw = Callable[[Operation, Tensor, Callable[[], None]], None]


def redrawn(operation: Operation, redraw: Redraw) -> bool:
    """Run a draw, and have it come out otherwise; whether it did."""
    # A draw on data (RReLU) must start from the old values every time.
    written = [(tensor, tensor.clone()) for tensor in operation.written()]
    operation.run()
    usual = operation.outputs()[0].clone()
    own = operation.argument("generator")
    after, own_after = rng_state(), None if own is None else own.get_state()

    def again() -> None:
        for tensor, old in written:
            tensor.copy_(old)
        operation.run()

    redraw(operation, usual, again)
    changed = not torch.equal(operation.outputs()[0], usual)
    set_rng_state(after)
    if own is not None:
        own.set_state(own_after)
    return changed


def anew(seed: int) -> Redraw:
    """Draws on from a seed until something else comes."""

    def redraw(operation: Operation, usual: Tensor, again: Callable[[], None]) -> None:
        own = operation.argument("generator")
        (torch if own is None else own).manual_seed(seed)
        for _ in range(max(64, min(_TRIES, _MOST // max(usual.numel(), 1)))):
            again()
            if not torch.equal(operation.outputs()[0], usual):
                break

    return redraw


def extreme(low: bool) -> Redraw:
    """An end of what can be drawn, in place of a fresh draw whose law is known."""

    def redraw(operation: Operation, usual: Tensor, again: Callable[[], None]) -> None:
        if operation.name not in FRESH_NOISE:
            return
        drawn, chances = operation.outputs()[0], operation.chances()
        if operation.name == "bernoulli" and chances:
            drawn.copy_(chances[0] >= 1 if low else chances[0] > 0)
            return
        law = drawn_law(operation)
        ends = law.ends
        if ends is not None:
            drawn.fill_(ends[0] if low else ends[1])

    return redraw
