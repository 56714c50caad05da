"""Evaluation-mode normalisation under direction: another scale and offset, noise on or off.

Works on the function `batch_norm`, like the taps, so that subclasses and `F.batch_norm` called by
hand are steered too, and no parameter or buffer of the model is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from varshift._engine.sites import owners

__all__ = ["Affine", "NormCall", "Steered"]

# The parameters of F.batch_norm and of torch.batch_norm, told apart by where the statistics stand.
_FUNCTIONAL = ("input", "running_mean", "running_var", "weight", "bias", "training")
_TORCH = ("input", "weight", "bias", "running_mean", "running_var", "training")


class Affine(NamedTuple):
    """What multiplies a norm's scale and what is added to its offset, (C,) each."""

    scale: Tensor
    offset: Tensor


class NormCall(NamedTuple):
    """One batch normalisation as the model asks for it: the site's path and the arguments."""

    path: str
    owner: nn.Module
    arguments: dict[str, Any]


class Steered(TorchFunctionMode):
    """Every norm uses its stored statistics, whatever mode it is in, and its `affine` on top."""

    def __init__(self, model: nn.Module, affine: Mapping[str, Affine] | None = None) -> None:
        super().__init__()
        self._owners = owners(model)
        self._affine = affine or {}

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", None) == "batch_norm":
            call = self._read(args, kwargs)
            if call is not None:
                self.meet(call)
                return func(**call.arguments)
        return func(*args, **kwargs)

    def meet(self, call: NormCall) -> None:
        """Change the arguments of a norm; a subclass may look at them."""
        call.arguments["training"] = False
        change = self._affine.get(call.path)
        if change is None:
            return
        weight, bias = call.arguments.get("weight"), call.arguments.get("bias")
        dtype = call.arguments["running_mean"].dtype if weight is None else weight.dtype
        scale, offset = change.scale.to(dtype), change.offset.to(dtype)
        call.arguments["weight"] = scale if weight is None else weight * scale
        call.arguments["bias"] = offset if bias is None else bias + offset

    def _read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NormCall | None:
        for names in (_FUNCTIONAL, _TORCH):
            more = (*names, "momentum", "eps", "cudnn_enabled")
            arguments = dict(zip(more, args, strict=False)) | kwargs
            mean = arguments.get("running_mean")
            if isinstance(mean, Tensor) and id(mean) in self._owners:
                return NormCall(*self._owners[id(mean)], arguments)
        return None
