"""The numbers that modules count by, in attributes or dicts: steps of a schedule, most of all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from varshift._engine.borrow.containers import TORCHS_OWN

__all__ = ["Numbers"]

_COUNTS = (int, float)
_MANY = 100  # items beyond which a dict is a vocabulary


class Numbers:
    """All whole and real numbers in attributes of these modules, or in dicts there.

    No flags: what was made ready once in a pass, weights and all, is not to be made ready anew.
    """

    def __init__(self, modules: Iterable[tuple[str, nn.Module]]) -> None:
        self._at: list[tuple[dict[Any, Any], Any]] = []
        for _, module in modules:
            own = {n: value for n, value in vars(module).items() if n not in TORCHS_OWN}
            self._at += [(vars(module), name) for name, v in own.items() if type(v) in _COUNTS]
            for held in own.values():
                if type(held) is dict and len(held) <= _MANY:
                    self._at += [(held, key) for key, v in held.items() if type(v) in _COUNTS]

    def now(self) -> list[Any]:
        """What they are."""
        return [own.get(name) for own, name in self._at]

    def put(self, values: list[Any]) -> None:
        """Let them be what `now` has given, where they are still there."""
        for (own, name), value in zip(self._at, values, strict=True):
            if own.get(name) is not value and type(own.get(name)) in _COUNTS:
                own[name] = value
