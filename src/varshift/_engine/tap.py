"""The cheap lane: every batch normalisation is met on the function `batch_norm`, as the model asks.

The tap sits on the function, not on module classes: subclasses that reshape before they normalise,
and `F.batch_norm` called by hand, are met with the tensor that is really normalised. What meets a
call may let it be, or hand back another one to be run in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from varshift._engine.borrow.suspended import close_suspended
from varshift._engine.normcall import NormCall
from varshift._engine.sites import Inventory
from varshift._engine.trace.lines import calling_line
from varshift._torch.state import function_modes, set_function_modes
from varshift.results import Line

__all__ = ["OnNorm", "Owners", "Tap"]

OnNorm = Callable[[NormCall], NormCall | None]

# The parameters of F.batch_norm and of torch.batch_norm, told apart by where the statistics stand.
_FUNCTIONAL = ("input", "running_mean", "running_var", "weight", "bias", "training")
_TORCH = ("input", "weight", "bias", "running_mean", "running_var", "training")
_MORE = ("momentum", "eps", "cudnn_enabled")
# What SyncBatchNorm calls in a training pass of several processes: it is met, never changed.
_SYNCHRONISED = ("input", "mean", "invstd", "running_mean", "running_var", "momentum", "eps")

Owners = Mapping[int, tuple[str, nn.Module]]


class Tap(TorchFunctionMode):
    """Calls `on_norm(call)` before each batch normalisation with running statistics.

    `strays` are the paths of those whose statistics no module holds, by the line that asks.
    """

    def __init__(
        self,
        model: nn.Module,
        on_norm: OnNorm,
        held: Owners | None = None,
        strays: Mapping[Line | None, str] | None = None,
    ) -> None:
        super().__init__()
        self._model = model
        self._owners = Inventory(model).owners if held is None else held
        self._strays = strays or {}
        self._on_norm = on_norm

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave; an interrupt may have struck while torch had this mode set aside for a call."""
        if error is not None:
            close_suspended(error)
        modes = function_modes()
        if modes is None:
            super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        elif self in modes:
            set_function_modes(modes[: modes.index(self)])

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        # By name, not by identity: other tools wrap `torch.batch_norm` in place.
        name = getattr(func, "__name__", None)
        if name == "batch_norm":
            call = self._read(args, kwargs)
            changed = None if call is None else self._on_norm(call)
            if changed is not None:
                return func(**changed.arguments)
        elif name == "batch_norm_gather_stats_with_counts":
            call = self._met(dict(zip(_SYNCHRONISED, args, strict=False)) | {"training": True})
            if call is not None:
                self._on_norm(call)
        return func(*args, **kwargs)

    def _read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NormCall | None:
        for names in (_FUNCTIONAL, _TORCH):
            call = self._met(dict(zip((*names, *_MORE), args, strict=False)) | kwargs)
            if call is not None:
                return call
        return None

    def _met(self, arguments: dict[str, Any]) -> NormCall | None:
        mean = arguments.get("running_mean")
        if not isinstance(mean, Tensor) or not isinstance(arguments.get("running_var"), Tensor):
            return None
        if id(mean) in self._owners:
            return NormCall(*self._owners[id(mean)], arguments)
        path = self._strays.get(calling_line()) if self._strays else None
        return None if path is None else NormCall(path, self._model, arguments)
