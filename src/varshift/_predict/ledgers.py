"""A ledger for each pass, and noise where the model has none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from varshift._engine import Insert, Key, names_of
from varshift._predict.ledger import Ledger
from varshift._predict.noises import Asked, drawn
from varshift._predict.parts import Algebra
from varshift._predict.setting import Setting
from varshift.errors import UsageError

__all__ = ["Ledgers"]


class Ledgers:
    """Builds the ledger of each pass, as `Regime(control=…)` wants it; `now` is the latest.

    Sources are named as the first pass meets them; later ones know them by those names.

    Args:
        make: takes the arguments of `Control`, `setting` and `names` and gives a ledger.
        setting: what is asked of sources.
        names: those of an earlier trace.
    """

    def __init__(self, make: Any, setting: Setting, names: Mapping[Key, str] | None = None) -> None:
        self.setting = setting
        self.now: Ledger | None = None
        self._make = make
        self._names = names

    @classmethod
    def plain(cls, algebra: Algebra, setting: Setting, names: Mapping[Key, str] | None) -> Ledgers:
        """Ledgers as they are, by an algebra."""
        return cls(partial(Ledger, algebra=algebra), setting, names)

    def __call__(self, *arguments: Any, **keywords: Any) -> Ledger:
        if self._names is None and self.now is not None:
            self._names = names_of(self.now)
        self.now = self._make(*arguments, setting=self.setting, names=self._names, **keywords)
        return self.now

    def plants(self) -> dict[str, Insert]:
        """By module path, what plants the setting's noises before it."""
        by_path: dict[str, dict[str, Asked]] = {}
        for name, path in self.setting.plants.items():
            by_path.setdefault(path, {})[name] = self.setting.laws[name]
        return {path: partial(self._plant, laws) for path, laws in by_path.items()}

    def _plant(
        self, laws: Mapping[str, Asked], module: nn.Module, inputs: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """The module's arguments, the first multiplied by noise under its plants' names."""
        x = inputs[0] if inputs else None
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise UsageError(
                f"noise cannot stand before {type(module).__name__}: its first input is no tensor "
                "of numbers"
            )
        assert self.now is not None
        for name, law in laws.items():
            self.now.planted = name
            try:
                x = x * drawn(law, x, law.sharing or "element")
            finally:
                self.now.planted = None
        return (x, *inputs[1:])
