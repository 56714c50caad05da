"""What takes no part when a model is traced and may later: frozen norms, noise of rate 0.

Training thaws norms and raises rates while it goes on, and one trace knows nothing of that.
"""

from __future__ import annotations

from torch import nn

from varshift._counting import counted
from varshift._engine import RATES, norm_handles, unwrapped, walk

__all__ = ["Asleep"]


class Asleep:
    """The norms of a model in training that are in eval mode, and the modules of rate 0."""

    def __init__(self, model: nn.Module) -> None:
        inner = unwrapped(model)
        norms = [handle.module for handle in norm_handles(inner).values()]
        self._frozen = [norm for norm in norms if inner.training and not norm.training]
        self._silent = [
            (module, name)
            for _, module in walk(inner)
            for name in RATES
            if type(rate := vars(module).get(name)) in (int, float) and rate == 0
        ]

    def __bool__(self) -> bool:
        return bool(self._frozen or self._silent)

    def __str__(self) -> str:
        frozen = f"{counted(len(self._frozen), 'norm')} in eval mode"
        silent = f"{counted(len({id(module) for module, _ in self._silent}), 'module')} of rate 0"
        parts = [*([frozen] if self._frozen else []), *([silent] if self._silent else [])]
        return " and ".join(parts)

    @property
    def woken(self) -> bool:
        """Whether one of them takes part by now."""
        return any(norm.training for norm in self._frozen) or any(
            vars(module).get(name, 0) != 0 for module, name in self._silent
        )
