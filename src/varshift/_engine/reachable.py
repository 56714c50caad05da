"""The loaders that data come from, whatever stands around them."""

from __future__ import annotations

import functools
import gc
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.utils.data import DataLoader

from varshift._torch.loading import is_under_way

__all__ = ["reachable"]

_DEEP, _MOST, _LONG = 5, 1000, 100  # steps, objects, items of a container: a few milliseconds
_NOTHING_IN = (Tensor, nn.Module, np.ndarray, str, bytes, int, float, type, types.ModuleType)


def reachable(data: Any) -> list[Any]:
    """What data may be made of: wrapped by objects, or named in functions and generators.

    Each object once, near ones first.
    """
    seen: dict[int, Any] = {}
    ahead = deque([(data, 0)])
    while ahead and len(seen) < _MOST:
        value, deep = ahead.popleft()
        if value is None or id(value) in seen or issubclass(type(value), _NOTHING_IN):
            continue
        seen[id(value)] = value
        if deep < _DEEP:
            ahead.extend((each, deep + 1) for each in (*_held_by(value), *_named_in(value)))
    return list(seen.values())


def _held_by(value: Any) -> Iterable[Any]:
    kind = type(value)
    if issubclass(kind, dict):
        return list(value.values()) if len(value) <= _LONG else ()
    if issubclass(kind, (list, tuple)):
        return value if len(value) <= _LONG else ()
    if is_under_way(value):
        return ()  # its queues and workers are its own
    builtin = kind is not types.GeneratorType and kind.__module__ in ("builtins", "itertools")
    if builtin and hasattr(kind, "__next__"):
        return gc.get_referents(value)  # a chain of loaders
    return () if issubclass(kind, types.FunctionType) else list(_attributes(value).values())


def _attributes(value: Any) -> dict[str, Any]:
    """Of a stranger, who may answer with anything, or raise."""
    try:
        own = value.__dict__
    except Exception:
        return {}
    return own if type(own) is dict else {}


def _named_in(value: Any) -> Iterable[Any]:
    """What functions, generators and an object's own iteration refer to."""
    kind = type(value)
    if kind is types.FunctionType:
        cells = [_content(cell) for cell in value.__closure__ or ()]
        return [*cells, *_globals(value.__code__, value.__globals__)]
    if kind is types.MethodType:
        return value.__self__, value.__func__
    if issubclass(kind, functools.partial):
        return value.func, value.args, value.keywords
    if kind is types.GeneratorType:
        frame = value.gi_frame
        if frame is None:
            return ()
        return [*frame.f_locals.values(), *_globals(value.gi_code, frame.f_globals)]
    if issubclass(kind, DataLoader):
        return ()
    methods = (getattr(kind, name, None) for name in ("__iter__", "__call__"))
    return [method for method in methods if type(method) is types.FunctionType]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _globals(code: types.CodeType, names: dict[str, Any]) -> Iterator[Any]:
    """The globals that a function's code names, those of functions inside it too."""
    yield from (names[name] for name in code.co_names if name in names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals(constant, names)
