"""Modules that a model runs and its tree does not hold: `train()` and `eval()` do not reach them.

They lie in plain lists and dicts, on plain objects, or in a closure or global that a method names.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import BuiltinMethodType, CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.borrow.containers import TORCHS_OWN, is_container, is_plain
from varshift._engine.borrow.contents import reader_of
from varshift._engine.borrow.objects import FIXED, of_others
from varshift._engine.borrow.walk import walk

__all__ = [
    "everything",
    "hidden",
    "named_by",
    "named_by_attributes",
    "named_in_code",
    "user_classes",
]

_CALLED = (FunctionType, MethodType, BuiltinMethodType, partial)
_DEEP = 4  # containers and objects within each other
_MANY = 1000  # items beyond which a container is a vocabulary, not a list of layers


def everything(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """(path, module) of the registered ones, as `walk` gives them, then of the hidden ones."""
    registered = walk(model)
    return registered + hidden(registered)


def hidden(registered: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """(path, module) of those that are not `registered`, each once: "norms.0", "helper.bn"."""
    known = {id(module) for _, module in registered}
    classes: set[type] = set()
    found: list[tuple[str, nn.Module]] = []
    ahead = list(registered)
    for path, module in ahead:  # grows: what is hidden may hide more
        for name, value in _values(module, classes):
            for place, other in _modules(value, f"{path}.{name}".lstrip("."), _DEEP, set()):
                if id(other) in known:
                    continue
                fresh = [(f"{place}.{inner}".rstrip("."), each) for inner, each in walk(other)]
                fresh = [(each_place, each) for each_place, each in fresh if id(each) not in known]
                known.update(id(each) for _, each in fresh)
                found += fresh
                ahead += fresh
    return found


def user_classes(module: nn.Module) -> Iterator[type]:
    """The classes of a module that are no part of torch."""
    for kind in type(module).__mro__:
        if kind is nn.Module:
            return
        if kind is not object and not kind.__module__.startswith("torch."):
            yield kind


def named_in_code(kind: type) -> Iterator[tuple[str, Any]]:
    """What a class's own methods take from outside, globals or closed over, and may change.

    Modules, tensors and random generators.
    """
    for value in tuple(vars(kind).values()):
        yield from named_by(value)


def named_by_attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """The same of what a module has for attributes: `self.norm = lambda x: bn(x)`."""
    for value in tuple(vars(module).values()):
        if isinstance(value, _CALLED):
            yield from named_by(value)


def named_by(value: Any) -> Iterator[tuple[str, Any]]:
    """The same of one function, method or partial; nothing of what is none of these."""
    if isinstance(value, FunctionType):
        yield from _named_in(value)
    elif isinstance(value, property):
        yield from named_by(value.fget)
        yield from named_by(value.fset)
    elif isinstance(value, (staticmethod, classmethod)):
        yield from named_by(value.__func__)
    elif isinstance(value, partial):
        yield from named_by(value.func)
        for name, given in (*enumerate(value.args), *value.keywords.items()):
            yield from _state_in(str(name), given)
    elif isinstance(value, (MethodType, BuiltinMethodType)):
        yield from _state_in(value.__name__, value.__self__)
        yield from named_by(getattr(value, "__func__", None))


def _named_in(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, value in _closed_over(function):
        yield from _state_in(name, value)
    for name in _names(function.__code__):
        yield from _state_in(name, function.__globals__.get(name))


def _closed_over(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The variables of the functions around it that it uses, as far as they are bound."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:
            continue


def _names(code: CodeType) -> Iterator[str]:
    """The names that a function's code, and the code inside it, looks up."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _state_in(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The value, or what is in a list or dict of such: the container itself is not the model's."""
    if _is_state(value):
        yield name, value
    elif is_container(value) and len(value) <= _MANY:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if _is_state(item):
                yield f"{name}.{key}", item


def _is_state(value: Any) -> bool:
    return isinstance(value, (nn.Module, Tensor)) or reader_of(value) is not None


def _values(module: nn.Module, classes: set[type]) -> Iterator[tuple[str, Any]]:
    """What a module's attributes hold, and what its class's code names."""
    if isinstance(module, torch.jit.ScriptModule):
        return
    for name, value in vars(module).items():
        if name in TORCHS_OWN or type(value) in FIXED or is_plain(value):
            continue
        if not isinstance(value, Tensor):
            yield name, value
    yield from named_by_attributes(module)
    for kind in user_classes(module):
        if kind not in classes:
            classes.add(kind)
            yield from named_in_code(kind)


def _modules(value: Any, path: str, deep: int, seen: set[int]) -> Iterator[tuple[str, nn.Module]]:
    """The modules in an attribute, however they are packed."""
    if isinstance(value, nn.Module):
        yield path, value
        return
    if not deep or type(value) in FIXED or isinstance(value, Tensor) or id(value) in seen:
        return
    seen.add(id(value))
    if is_container(value):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        if len(value) > _MANY or isinstance(value, bytearray):
            return
    elif type(own := getattr(value, "__dict__", None)) is dict and not of_others(value):
        items = own.items()
    else:
        return
    for key, item in tuple(items):
        yield from _modules(item, f"{path}.{key}", deep - 1, seen)
