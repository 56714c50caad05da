"""Taps: see the input of every batch normalisation just before it is normalised.

The tap sits on the function `batch_norm`, not on module classes: subclasses that reshape before
they normalise, and `F.batch_norm` called by hand, are seen with the tensor that is really
normalised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from varshift.measure.moments import channel_moments
from varshift.structure.sites import owners

__all__ = ["Tap", "TappedSite", "channel_moments"]

# Where the input and the running statistics stand in each function's arguments. The last is what
# SyncBatchNorm calls in a multi-process training pass.
_POSITIONS: dict[Any, tuple[int, int]] = {
    functional.batch_norm: (1, 2),
    torch.batch_norm: (3, 4),
    torch.batch_norm_gather_stats_with_counts: (3, 4),
}


@dataclass(frozen=True, eq=False)
class TappedSite:
    """A norm site as the tap meets it: its path, its owner and the statistics it is handed."""

    path: str
    owner: nn.Module
    running_mean: Tensor
    running_var: Tensor


OnInput = Callable[[TappedSite, Tensor], None]


class Tap(TorchFunctionMode):
    """Calls `on_input(site, x)` before each batch normalisation with running statistics."""

    def __init__(self, model: nn.Module, on_input: OnInput) -> None:
        super().__init__()
        self._owners = owners(model)
        self._on_input = on_input
        self.unknown = 0

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _POSITIONS:
            self._meet(func, args, kwargs)
        return func(*args, **kwargs)

    def _meet(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        mean_at, var_at = _POSITIONS[func]
        mean = kwargs.get("running_mean", args[mean_at] if len(args) > mean_at else None)
        var = kwargs.get("running_var", args[var_at] if len(args) > var_at else None)
        x = args[0] if args else kwargs.get("input")
        if not (isinstance(mean, Tensor) and isinstance(var, Tensor) and isinstance(x, Tensor)):
            return
        if id(mean) not in self._owners:
            self.unknown += 1
            return
        path, owner = self._owners[id(mean)]
        self._on_input(TappedSite(path, owner, mean, var), x)
