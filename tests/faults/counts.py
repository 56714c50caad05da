"""What a process holds, as numbers that must not grow."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import psutil
import torch
import torch.nn.modules.module as hooks
from torch import nn

__all__ = ["EXACT", "counts", "kinds"]

# What has no reason to move at all, once everything has been done once. Of all objects, and of
# memory, caches with a bound and Python's own tables take some more now and then.
EXACT = (
    *("tensors", "tensor bytes", "models", "descriptors", "threads", "children", "global hooks"),
    *("function modes", "dispatch modes", "warning filters", "temporary files", "exit callbacks"),
    *("Python modules", "signal handlers", "import path"),
)


def counts() -> dict[str, int]:
    """Everything that is watched, after a collection of garbage."""
    gc.collect()
    process = psutil.Process()
    held = gc.get_objects()
    tensors = [each for each in held if issubclass(type(each), torch.Tensor)]
    return {
        "memory": process.memory_info().rss,
        "objects": len(held),
        "tensors": len(tensors),
        "tensor bytes": sum(map(_bytes, tensors)),
        "models": sum(issubclass(type(each), nn.Module) for each in held),
        "descriptors": process.num_fds(),
        "threads": threading.active_count(),
        "children": len(process.children()),
        "global hooks": sum(len(each) for name, each in vars(hooks).items() if _hooks(name, each)),
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "warning filters": len(warnings.filters),
        "temporary files": sum(len(files) + len(inner) for _, inner, files in _temporary()),
        "exit callbacks": atexit._ncallbacks(),
        "Python modules": len(sys.modules),
        "signal handlers": _handlers(),
        "import path": len(sys.path),
    }


def kinds() -> dict[str, int]:
    """How many objects of each class there are: what grew is found by two of these."""
    found: dict[str, int] = {}
    for each in gc.get_objects():
        name = f"{type(each).__module__}.{type(each).__qualname__}"
        found[name] = found.get(name, 0) + 1
    return found


def _bytes(tensor: torch.Tensor) -> int:
    """What a tensor holds; a compiler's stand-in, whose size is a symbol, holds nothing."""
    size = tensor.nelement() * tensor.element_size()
    return size if isinstance(size, int) else 0


def _hooks(name: str, held: object) -> bool:
    return name.startswith("_global_") and isinstance(held, dict)


def _temporary() -> object:
    return os.walk(Path(tempfile.gettempdir()))


def _handlers() -> int:
    import signal

    return sum(callable(signal.getsignal(number)) for number in signal.valid_signals())
