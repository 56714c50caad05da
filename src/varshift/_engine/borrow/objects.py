"""Everything that hangs on a model, as it is now: what is in it, object by object.

From the modules on, through attributes, containers and plain objects, each once, near ones first.
Not followed: what functions and hooks close over, but for what `hidden` and `hooks` find, and the
trainer, optimizer, loader or logger that a module may refer to; those are not the model.
"""

from __future__ import annotations

import enum
import io
import types
import weakref
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from varshift._engine.borrow.containers import KeptDict, is_container, is_plain, kept_container
from varshift._engine.borrow.contents import (
    KeptArray,
    KeptFile,
    KeptGenerator,
    KeptIterator,
    reader_of,
)
from varshift._engine.borrow.slots import KeptSlots
from varshift._torch.tensors import script_type

__all__ = ["FIXED", "Objects", "of_others"]

MOST = 20_000  # objects looked into: a few hundredths of a second

MOST_BYTES = 256 << 20  # of arrays that are copied

# What never changes, or is followed elsewhere: most attributes of most modules.
FIXED = frozenset(
    {
        *(bool, int, float, complex, str, bytes, type(None), type(...), type(NotImplemented)),
        *(range, slice, type, property, classmethod, staticmethod, object),
        *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
        *(types.MethodWrapperType, types.WrapperDescriptorType, types.MethodDescriptorType),
        *(types.GetSetDescriptorType, types.MemberDescriptorType, types.ClassMethodDescriptorType),
        *(types.GenericAlias, types.UnionType, types.MappingProxyType, types.CodeType),
        *(torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format),
        *(weakref.ref, weakref.ReferenceType),
    }
)
_FIXED_TOO = (
    *(type, enum.Enum, types.ModuleType, np.generic, np.dtype, BaseException, weakref.ref),
    *(torch.finfo, torch.iinfo),
)
# Packages whose objects belong to others than the model, or to the process.
_OTHERS = frozenset(
    {
        *("lightning", "pytorch_lightning", "lightning_fabric", "accelerate", "ray", "deepspeed"),
        *("wandb", "tensorboard", "tensorboardX", "mlflow", "logging"),
        *("threading", "_thread", "multiprocessing", "concurrent", "asyncio", "socket", "ssl"),
        *("subprocess", "re", "datetime", "decimal", "fractions", "pathlib", "zoneinfo", "uuid"),
        *("typing", "functools", "operator", "inspect", "abc", "importlib", "unittest", "_weakref"),
    }
)
_TORCHS = (  # of torch's own objects, these
    "torch.optim",
    "torch.utils.data",
    "torch.utils.tensorboard",
    "torch.distributed",
    "torch.fx",
    "torch.jit",
    "torch._",
    "torch.cuda",
    "torch.futures",
    "torch.package",
    "torch.profiler",
    "torch.autograd",
    "torch.overrides",
    "torch.utils._",
)


class Objects:
    """What was found; `take(value, path)` looks into one more, `restore()` puts all back.

    `tensors` and `modules` are what was met on the way, for others to keep.
    """

    def __init__(self) -> None:
        self.tensors: dict[int, tuple[Tensor, str]] = {}
        self.modules: list[tuple[str, nn.Module]] = []
        self.unseen: list[str] = []
        self._kept: list[Any] = []  # put back without fail
        self._tried: list[tuple[Any, Any, str]] = []  # put back, or else named
        self._seen: set[int] = set()
        self._bytes = 0
        self._ahead: deque[tuple[Any, str]] = deque()

    def take(self, values: Iterable[tuple[Any, str]]) -> None:
        """Look into these, and all that hangs on them."""
        ahead = self._ahead
        ahead.extend(values)
        while ahead:
            value, path = ahead.popleft()
            if type(value) in FIXED or is_plain(value) or id(value) in self._seen:
                continue
            if len(self._seen) >= MOST:
                ahead.clear()
                self.unseen.append(
                    f"more than {MOST:,} objects hang on the model: what a forward changes in or "
                    f"beyond {path!r} is not put back"
                )
                return
            self._seen.add(id(value))
            self._look(value, path)

    def restore(self) -> list[str]:
        """Put everything back; gives what could not be."""
        for kept in self._kept:
            kept.restore()
        return [
            f"{path!r} (a {type(value).__name__}) was changed by a forward and could not be put "
            "back"
            for kept, value, path in self._tried
            if not kept.restore()
        ]

    def _look(self, value: Any, path: str) -> None:
        if isinstance(value, Tensor):
            self.tensors.setdefault(id(value), (value, path))
        elif isinstance(value, nn.Module):
            self.modules.append((path, value))
        elif is_container(value):
            self._container(value, path)
            self._attributes(value, path)
        elif isinstance(value, np.ndarray):
            self._array(value, path)
        elif reader_of(value) is not None:
            self._tried.append((KeptGenerator(value), value, path))
        elif isinstance(value, io.IOBase):
            self._tried.append((KeptFile(value), value, path))
        elif hasattr(type(value), "__next__") and not hasattr(value, "__dict__"):
            self._tried.append((KeptIterator(value), value, path))
        elif not self._looked_past(value) and not self._attributes(value, path):
            self.unseen.append(
                f"{path!r} (a {type(value).__name__}) cannot be looked into: what a forward "
                "changes in it is not put back"
            )

    def _looked_past(self, value: Any) -> bool:
        return of_others(value)

    def _container(self, value: Any, path: str) -> None:
        kept = kept_container(value)
        if kept is not None:
            self._kept.append(kept)
        values = kept.values if kept is not None else tuple(value)
        if isinstance(values, bytes) or not self._inside(values):
            return
        keys = kept.keys if isinstance(kept, KeptDict) else range(len(values))
        self._ahead.extend((item, f"{path}.{key}") for key, item in zip(keys, values, strict=True))

    def _inside(self, values: tuple[Any, ...]) -> bool:
        """Whether to look into what a container holds: at once told of numbers and words."""
        return not set(map(type, values)) <= FIXED

    def _array(self, value: np.ndarray[Any, Any], path: str) -> None:
        self._bytes += value.nbytes
        if self._bytes > MOST_BYTES:
            self.unseen.append(
                f"{path!r} is an array, and more of them hang on the model than are copied "
                f"({MOST_BYTES >> 20} MiB): what a forward changes in it is not put back"
            )
        elif value.flags.writeable or value.base is not None:
            self._tried.append((KeptArray(value), value, path))
        if value.dtype == object:
            self._ahead.extend((item, path) for item in value.flat)

    def _attributes(self, value: Any, path: str) -> bool:
        """Keep what an object has in its dict and slots; whether it has either."""
        own = getattr(value, "__dict__", None)
        if type(own) is dict:
            kept = KeptDict(own)
            self._kept.append(kept)
            self._queue(zip(kept.keys, kept.values, strict=True), path)
        slots = KeptSlots.of(value)
        if slots is not None:
            self._kept.append(slots)
            self._queue(slots.items(), path)
        return type(own) is dict or slots is not None

    def _queue(self, items: Iterable[tuple[Any, Any]], path: str) -> None:
        self._ahead.extend(
            (item, f"{path}.{key}") for key, item in items if type(item) not in FIXED
        )


def of_others(value: Any) -> bool:
    """Whether it is no part of the model, or can change nothing."""
    if isinstance(value, _FIXED_TOO):
        return True
    kind: Any = type(value)
    module = kind.__module__ or ""
    if isinstance(value, torch.ScriptObject):  # what holds packed weights does not change
        return "torch.classes.quantized" in script_type(value)
    if module == "builtins" or module.partition(".")[0] in _OTHERS:
        return True
    return any(module == one.rstrip(".") or module.startswith(one) for one in _TORCHS)
