"""Taps: see the input of every batch normalisation just before it is normalised.

The tap sits on the function `batch_norm`, not on module classes: subclasses that reshape before
they normalise, and `F.batch_norm` called by hand, are seen with the tensor that is really
normalised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from varshift._engine.record.moments import channel_moments
from varshift._engine.sites import owners
from varshift.results.measurement import Statistics

__all__ = ["Tap", "TappedSite", "channel_moments", "stored_statistics"]

# Functions by name, not by identity: other tools wrap `torch.batch_norm` in place. The last is what
# SyncBatchNorm calls in a multi-process training pass.
_FUNCTIONS = frozenset({"batch_norm", "batch_norm_gather_stats_with_counts"})
# Where the running statistics stand: in `F.batch_norm`, and in the functions of `torch` itself.
_POSITIONS = ((1, 2), (3, 4))


@dataclass(frozen=True, eq=False)
class TappedSite:
    """A norm site as the tap meets it: its path, its owner and the statistics it is handed."""

    path: str
    owner: nn.Module
    running_mean: Tensor
    running_var: Tensor


def stored_statistics(site: TappedSite) -> Statistics:
    """What the site has stored, as `Statistics`; `count` is the number of batches tracked."""
    tracked = getattr(site.owner, "num_batches_tracked", None)
    return Statistics(
        mean=site.running_mean.detach().double().cpu().clone(),
        var=site.running_var.detach().double().cpu().clone(),
        count=int(tracked) if isinstance(tracked, Tensor) else 0,
    )


OnInput = Callable[[TappedSite, Tensor], None]


class Tap(TorchFunctionMode):
    """Calls `on_input(site, x)` before each batch normalisation with running statistics."""

    def __init__(self, model: nn.Module, on_input: OnInput) -> None:
        super().__init__()
        self._owners = owners(model)
        self._on_input = on_input

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", None) in _FUNCTIONS:
            self._meet(args, kwargs)
        return func(*args, **kwargs)

    def _meet(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = args[0] if args else kwargs.get("input")
        handed = [(kwargs.get("running_mean"), kwargs.get("running_var"))]
        handed += [(args[at], args[to]) for at, to in _POSITIONS if len(args) > to]
        for mean, var in handed:
            if not (isinstance(mean, Tensor) and isinstance(var, Tensor) and isinstance(x, Tensor)):
                continue
            if id(mean) in self._owners:
                path, owner = self._owners[id(mean)]
                self._on_input(TappedSite(path, owner, mean, var), x)
                return
