"""Noise where the model has none: drawn before a module while a predicted pass runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from varshift._engine.borrow.walk import walk
from varshift._predict.ledger import Ledger
from varshift._predict.noises import Asked, drawn
from varshift._predict.setting import Setting
from varshift.errors import UsageError

__all__ = ["planted"]


@contextmanager
def planted(model: nn.Module, ledger: Ledger, setting: Setting) -> Iterator[None]:
    """The setting's plants stand in the model inside the block."""
    modules = dict(walk(model)) if setting.plants else {}
    with ExitStack() as hooks:
        for name, path in setting.plants.items():
            hook = _Plant(ledger, name, setting.laws[name])
            hooks.callback(modules[path].register_forward_pre_hook(hook).remove)
        yield


class _Plant:
    """A forward pre-hook that multiplies a module's first input by noise, under a plant's name."""

    def __init__(self, ledger: Ledger, name: str, law: Asked) -> None:
        self._ledger, self._name, self._law = ledger, name, law

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        x = inputs[0] if inputs else None
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise UsageError(
                f"noise cannot stand before {type(module).__name__}: its first input is no tensor "
                "of numbers"
            )
        self._ledger.planted = self._name
        try:
            noisy = x * drawn(self._law, x, self._law.sharing or "element")
        finally:
            self._ledger.planted = None
        return (noisy, *inputs[1:])
