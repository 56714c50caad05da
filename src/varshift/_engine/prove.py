"""Proof of a route: reseed one noise source, leave every other draw alone, watch the norm."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.borrow.model import borrowed
from varshift._engine.borrow.rng import rng_state, set_rng_state
from varshift._engine.sites import owners
from varshift._engine.trace.mode import DispatchMode
from varshift._engine.trace.ops import BATCH_NORMS, Operation
from varshift.results import Proof, Route

__all__ = ["prove"]

_SEEDS = range(1, 65)  # enough for a draw that differs with probability 0.1: 0.9^64 = 0.001
_ATTEMPTS = 8


def prove(
    model: nn.Module, batch: Batch, forward: Forward | None, route: Route, draws: frozenset[int]
) -> Proof:
    """Run the pass as it was, again unchanged, and with the draws numbered `draws` reseeded."""
    with borrowed(model) as inner:
        if not inner.training:
            inner.train()
        start = rng_state()

        def run(reseeded: frozenset[int], seeds: range) -> _Watch:
            set_rng_state(start)
            watch = _Watch(inner, route.norm, reseeded, seeds)
            with borrowed(inner), watch:
                call(inner, batch, forward)
            return watch

        first, again = (run(frozenset(), _SEEDS) for _ in range(2))
        floor = _difference(first.seen, again.seen)
        for attempt in range(_ATTEMPTS):
            # Other random numbers may still round to the same mask: a few tries, then it is a no.
            moved = run(draws, range(_SEEDS.stop * attempt + 1, _SEEDS.stop * (attempt + 1)))
            difference = _difference(first.seen, moved.seen)
            if difference > floor or not moved.changed:
                break
    return Proof(route, difference > floor, difference, floor, moved.changed)


def _difference(one: list[Tensor], other: list[Tensor]) -> float:
    if [x.shape for x in one] != [x.shape for x in other]:
        return float("inf")
    return max((float((x - y).abs().max()) for x, y in zip(one, other, strict=True)), default=0.0)


class _Watch(DispatchMode):
    """Reseeds chosen draws, by their number in the pass, and keeps the input of one norm."""

    def __init__(self, model: nn.Module, path: str, reseeded: frozenset[int], seeds: range) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[Tensor] = []
        self.changed = False
        self._path = path
        self._paths = {key: site for key, (site, _) in owners(model).items()}
        self._reseeded = reseeded
        self._seeds = seeds
        self._draws = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        operation = Operation(func, args, kwargs or {})
        if operation.name in BATCH_NORMS:
            running = operation.argument("running_mean")
            if self._paths.get(id(running)) == self._path:
                self.seen.append(args[0].detach().to("cpu", torch.float64, copy=True))
        if not operation.draws():
            return operation.run()
        self._draws += 1
        if self._draws - 1 in self._reseeded:
            return self._redraw(operation)
        return operation.run()

    def _redraw(self, operation: Operation) -> Any:
        # An in-place draw on data (RReLU) must start from the old values every time.
        written = [(tensor, tensor.clone()) for tensor in operation.written()]
        operation.run()
        usual = operation.outputs()[0].clone()
        after = rng_state()
        for seed in self._seeds:
            for tensor, old in written:
                tensor.copy_(old)
            torch.manual_seed(seed)
            operation.run()
            if not torch.equal(operation.outputs()[0], usual):
                self.changed = True
                break
        set_rng_state(after)
        return operation.out
