"""Subclasses of BatchNorm with arithmetic of their own that is, in evaluation, torch's own.

Then other statistics can be given to them as to any norm, by writing them, and they can be waited
at as they begin. Whether it is so, one pass over one batch has shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from varshift._engine.normcall import NormCall
from varshift._engine.watched import channels_second

__all__ = ["entering"]


@contextmanager
def entering(modules: Mapping[str, nn.Module], meet: Callable[[NormCall], Any]) -> Iterator[None]:
    """In the block each is shown to `meet` as it begins, as the call that it stands for."""
    with ExitStack() as hooks:
        for path, module in modules.items():
            hook = module.register_forward_pre_hook(partial(_enter, path, meet), with_kwargs=True)
            hooks.callback(hook.remove)
        yield


def _enter(
    path: str,
    meet: Callable[[NormCall], Any],
    module: Any,
    inputs: tuple[Any, ...],
    named: Mapping[str, Any],
) -> None:
    x = next(iter((*inputs, *named.values())), None)
    laid = channels_second(x, module.running_mean.numel()) if isinstance(x, Tensor) else None
    if laid is None:
        return
    arguments = {
        "input": laid,
        "running_mean": module.running_mean,
        "running_var": module.running_var,
        "training": module.training,
    }
    meet(NormCall(path, module, arguments))
