"""The modules of a model as they are lent: class, attributes, what is registered, every hook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.borrow.containers import KeptDict, is_container
from varshift._engine.borrow.contents import reader_of
from varshift._engine.borrow.objects import FIXED
from varshift._engine.borrow.slots import KeptSlots
from varshift._torch.tensors import scripted_attribute, scripted_kind, set_scripted_attribute

__all__ = ["KeptClass", "KeptModule", "KeptOutside", "kept_module", "sharded"]

_REGISTRIES = tuple(name for name, value in vars(nn.Module()).items() if isinstance(value, dict))
_NO_STATE = frozenset(
    {
        *("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__slots__"),
        *("__abstractmethods__", "_abc_impl"),
        *("__annotations__", "__orig_bases__", "__parameters__"),
    }
)


def sharded(module: nn.Module) -> bool:
    """Whether a wrapper of torch.distributed holds the parameters of it and of all inside it.

    Its state is built lazily, and lies in plain attributes and behind the parameters: taking half
    of that back would break it.
    """
    return any(each.__module__.startswith("torch.distributed") for each in type(module).__mro__)


def kept_module(module: nn.Module, within_shards: bool) -> KeptModule | KeptOutside:
    """The state of one module, children excluded."""
    if isinstance(module, torch.jit.ScriptModule) or sharded(module):
        return KeptOutside(module)
    return KeptModule(module, within_shards)


class KeptModule:
    """Class, attributes and registries of a module that holds its state in Python.

    `followed` is what hangs on it, to be looked into: parameters, buffers, children, attributes.
    Inside a sharded wrapper, parameters are let be.
    """

    __slots__ = ("_class", "_dicts", "_empty", "_module", "_slots", "_some", "followed")

    def __init__(self, module: nn.Module, within_shards: bool) -> None:
        own = module.__dict__
        self._module = module
        self._class = type(module)
        self._dicts: list[KeptDict] = []
        self._empty: list[dict[str, Any]] = []
        self._some: dict[str, Any] | None = None
        self._slots = KeptSlots.of(module)
        self.followed: list[tuple[str, Any]] = []
        if within_shards:
            self._some = {name: value for name, value in own.items() if _ours(value)}
        else:
            self._dicts.append(KeptDict(own))
        if self._slots is not None:
            self.followed.extend(self._slots.items())
        for name, value in own.items():
            if type(value) in FIXED or (within_shards and isinstance(value, Tensor)):
                continue
            if name in _REGISTRIES:
                if not (within_shards and name == "_parameters"):
                    self._registry(name, value)
            else:
                self.followed.append((name, value))

    def restore(self) -> None:
        """The same objects under the same names, in the same order."""
        module: Any = self._module
        if type(module) is not self._class:
            module.__class__ = self._class
        for kept in self._dicts:
            kept.restore()
        for registry in self._empty:
            if registry:
                registry.clear()
        if self._slots is not None:
            self._slots.restore()
        if self._some is not None:
            _restore_some(module.__dict__, self._some)

    def _registry(self, name: str, held: dict[str, Any]) -> None:
        if not held:
            self._empty.append(held)
            return
        self._dicts.append(KeptDict(held))
        if name in ("_parameters", "_buffers", "_modules"):
            self.followed.extend(item for item in held.items() if item[1] is not None)


class KeptOutside:
    """A module that holds its state elsewhere (in C++, in shards): its flag and its buffers.

    Of a scripted one also the numbers, strings, lists and dicts of them that its code may change.
    """

    __slots__ = ("_buffers", "_flag", "_module", "_scripted", "followed")

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._flag = module.training
        self._buffers: KeptDict | None = None
        self._scripted = _scripted(module)
        if isinstance(module, torch.jit.ScriptModule):
            self.followed = [*_named(module)]
        else:
            self._buffers = KeptDict(module._buffers)
            self.followed = [(n, b) for n, b in module._buffers.items() if b is not None]
            self.followed += [(n, m) for n, m in module._modules.items() if m is not None]

    def restore(self) -> None:
        """Flag, buffers and scripted attributes as they were."""
        if self._module.training != self._flag:
            self._module.training = self._flag
        if self._buffers is not None:
            self._buffers.restore()
        for name, value in self._scripted.items():
            if scripted_attribute(self._module, name) != value:
                set_scripted_attribute(self._module, name, value)


class KeptClass:
    """The attributes of a user's class: a counter that all its modules share."""

    __slots__ = ("_attributes", "_class")

    def __init__(self, kind: type) -> None:
        self._class = kind
        self._attributes = _attributes(kind)

    @property
    def followed(self) -> list[tuple[str, Any]]:
        """What may change among them, to be looked into: tensors, containers, generators."""
        held = self._attributes.items()
        return [(n, v) for n, v in held if isinstance(v, Tensor) or is_container(v) or reader_of(v)]

    def restore(self) -> None:
        """The same objects under the same names."""
        now = _attributes(self._class)
        for name in now:
            if name not in self._attributes:
                type.__delattr__(self._class, name)
        for name, value in self._attributes.items():
            if now.get(name, self) is not value:
                type.__setattr__(self._class, name, value)


def _scripted(module: Any) -> dict[str, Any]:
    """What a scripted module's code may count in, by value: reading it makes a copy."""
    kind = scripted_kind(module)
    if not isinstance(module, torch.jit.ScriptModule) or kind is None:
        return {}
    values = {name: scripted_attribute(module, name) for name in kind.get_attributes()}
    return {name: value for name, value in values.items() if _countable(value)}


def _countable(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_countable, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_countable, value))
    return isinstance(value, (bool, int, float, str, type(None)))


def _attributes(kind: type) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if name not in _NO_STATE}


def _ours(value: Any) -> bool:
    """What is put back in a module whose parameters belong to a wrapper."""
    return type(value) in FIXED or is_container(value)


def _restore_some(own: dict[str, Any], before: dict[str, Any]) -> None:
    for name in [name for name, value in own.items() if name not in before and _ours(value)]:
        del own[name]
    for name, value in before.items():
        if own.get(name, own) is not value:
            own[name] = value


def _named(module: nn.Module) -> Iterator[tuple[str, Any]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)
    yield from module.named_children()
