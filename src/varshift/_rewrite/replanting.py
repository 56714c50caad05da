"""A dropout right before a module: a child that holds no state, and a hook that runs it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from varshift._rewrite.journal import Journal
from varshift.errors import UsageError

__all__ = ["NAME", "noise_first", "plant"]

NAME = "noise_before"


def noise_first(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The forward pre-hook: `module.noise_before` on the first input, in training alone.

    A function of a module of ours, so that a model that has it can be copied and pickled.
    """
    noise = module.noise_before
    if not noise.training:
        return None
    if args:
        return (noise(args[0]), *args[1:]), kwargs
    name = next((name for name, value in kwargs.items() if isinstance(value, Tensor)), None)
    return None if name is None else (args, {**kwargs, name: noise(kwargs[name])})


def plant(journal: Journal, module: nn.Module, path: str, drop_p: float) -> None:
    """Let a dropout run before the module. Its class and its state_dict stay as they are."""
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(f"{path!r} is scripted and takes no hook; name another with before=")
    if hasattr(module, NAME):
        raise UsageError(
            f"{path!r} has a {NAME!r} already; set model.{path}.{NAME}.p = {drop_p:g} instead"
        )
    noise = nn.Dropout(drop_p)
    noise.training = module.training
    journal.add(module, NAME, noise)
    journal.hook(module, noise_first)
