"""torch's compiler: whether it is loaded, what it compiled, and how it is told to stand aside.

Nothing here loads it: that takes seconds, in a process that compiles nothing.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn

from varshift._torch.state import Part

__all__ = ["compiled", "loaded", "settings", "stand_aside"]


def loaded() -> bool:
    """Whether anything can have been compiled."""
    return "torch._dynamo" in sys.modules


def compiled(module: nn.Module) -> bool:
    """By `torch.compile(module)`, or by `module.compile()` unless torch keeps that elsewhere."""
    in_place = getattr(module, "_compiled_call_impl", None) is not None
    return in_place or type(module).__name__ == "OptimizedModule"


def stand_aside() -> None:
    """Compiled parts run as plain Python from now on; `settings` put that back."""
    if not loaded():
        return
    if hasattr(torch.compiler, "set_stance"):
        torch.compiler.set_stance("force_eager")
    else:  # before torch 2.6
        _set_off(True)


def settings() -> list[Part]:
    """How compiled parts are to run."""
    return [(_stance, _set_stance), (_off, _set_off)]


def _stance() -> Any:
    """None for the default, before the compiler is loaded, and where it has no stance to read."""
    stance: Any = getattr(sys.modules.get("torch._dynamo.eval_frame"), "_stance", None)
    if stance is None or (stance.stance == "default" and stance == type(stance)()):
        return None
    return stance


def _set_stance(stance: Any) -> None:
    dynamo: Any = sys.modules["torch._dynamo.eval_frame"]
    dynamo._stance = dynamo.DynamoStance() if stance is None else stance


def _off() -> bool:
    """How torch before 2.6 was told to run compiled parts as plain Python."""
    config: Any = sys.modules.get("torch._dynamo.config")
    return config is not None and bool(getattr(config, "disable", False))


def _set_off(off: bool) -> None:
    config: Any = sys.modules["torch._dynamo.config"]
    config.disable = off
