"""Passes with other draws, and the Python numbers that operations are given in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from varshift._engine.trace.ops import Operation
from varshift._engine.trace.redraw import Redraw, redrawn
from varshift._engine.trace.tracer import Tracer

__all__ = ["NumberLog", "Redrawn", "differing"]

Entry = tuple[str, tuple[Any, ...]]


class Redrawn(Tracer):
    """Has the draws of one source made anew; follows nothing, and meets norms as a tracer does.

    Args:
        arguments: those of `Tracer`.
        draws: the ordinals of its draws in the pass.
        redraw: how they come out otherwise; None: as they are.
    """

    def __init__(
        self,
        *arguments: Any,
        draws: frozenset[int] = frozenset(),
        redraw: Redraw | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(*arguments, **keywords)
        self.changed = False
        self._chosen, self._redraw = draws, redraw

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        operation = Operation(func, args, kwargs or {})
        if self._aside:
            return operation.run()
        self._see(operation)
        if not operation.draws():
            self._run(operation)
            return operation.out
        self._draws += 1
        if self._redraw is not None and self._draws - 1 in self._chosen:
            self.changed = redrawn(operation, self._redraw) or self.changed
        else:
            operation.run()
        return operation.out

    def _see(self, operation: Operation) -> None:
        """Before an operation runs."""


class NumberLog(Redrawn):
    """Keeps every operation's name and numbers."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.log: list[Entry] = []

    def _see(self, operation: Operation) -> None:
        self.log.append((operation.packet, _numbers([operation.args, operation.kwargs])))


def differing(one: Sequence[Entry], other: Sequence[Entry]) -> set[int]:
    """Where two passes gave other numbers to the same operation, as long as they ran the same."""
    found = set()
    for index, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine[0] != theirs[0]:
            break  # from here on it is another way through the model
        if mine[1] != theirs[1]:
            found.add(index)
    return found


def _numbers(value: Any) -> tuple[Any, ...]:
    if isinstance(value, (bool, int, float)):
        return (value,)
    if isinstance(value, (tuple, list)):
        return tuple(number for item in value for number in _numbers(item))
    if isinstance(value, dict):
        return tuple(number for item in value.values() for number in _numbers(item))
    return ()
