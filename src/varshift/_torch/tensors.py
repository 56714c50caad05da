"""What torch knows of a tensor or an operation and has no public name for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "copy_all",
    "has_hooks",
    "operation_name",
    "operation_space",
    "overload_name",
    "schema_of",
    "script_type",
    "scripted_attribute",
    "scripted_kind",
    "set_scripted_attribute",
    "set_version",
    "sets_versions",
    "storage_identity",
    "version",
]

_set_version: Any = getattr(
    getattr(torch._C, "_autograd", None), "_unsafe_set_version_counter", None
)
_copy_all: Any = getattr(torch, "_foreach_copy_", None)


def version(tensor: Tensor) -> int:
    """How often it was written in place. Without the counter every reading is another one.

    Callers then compare values, which is slower and as right.
    """
    count: int | None = getattr(tensor, "_version", None)
    return -id(object()) if count is None else count


def sets_versions() -> bool:
    """Whether `set_version` does anything."""
    return _set_version is not None


def set_version(tensor: Tensor, version: int) -> None:
    """Put the counter back, so that a graph of the user's can still be run backward.

    Without it the counter stays further on, and autograd refuses that graph with its own sentence.
    """
    if _set_version is None:
        return
    try:
        _set_version((tensor,), (version,))
    except TypeError:  # before torch 2.6 it took one tensor
        _set_version(tensor, version)


def copy_all(places: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Write each value into its place; one kernel for all where torch has it."""
    if _copy_all is not None:
        _copy_all(places, values)
        return
    for place, value in zip(places, values, strict=True):
        place.copy_(value)


def storage_identity(tensor: Tensor) -> int:
    """The same for all views of one storage. Without the object's address that of its bytes.

    Raises:
        NotImplementedError or RuntimeError: from torch, for layouts without a storage.
    """
    storage = tensor.untyped_storage()
    identity: int | None = getattr(storage, "_cdata", None)
    return storage.data_ptr() if identity is None else identity


def schema_of(operation: Any) -> Any:
    """The arguments and returns of an aten operation; None for what has none."""
    return getattr(operation, "_schema", None)


def operation_name(operation: Any) -> str:
    """`bernoulli_` for `aten.bernoulli_.float`."""
    return str(getattr(operation, "_opname", None) or getattr(operation, "__name__", operation))


def operation_space(operation: Any) -> str:
    """`aten` for `aten.bernoulli_.float`, a library's own name for its operations."""
    return str(getattr(operation, "namespace", ""))


def overload_name(operation: Any) -> str:
    """`float` for `aten.bernoulli_.float`; "" for what has no overloads."""
    return str(getattr(operation, "_overloadname", ""))


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody asked to be called at this module's forward; no where torch hides it."""
    return any(getattr(module, name, None) for name in ("_forward_hooks", "_forward_pre_hooks"))


def scripted_kind(module: Any) -> Any:
    """What a scripted module's code holds, by name; None where that cannot be asked."""
    return getattr(module, "_concrete_type", None) if hasattr(module, "_c") else None


def scripted_attribute(module: Any, name: str) -> Any:
    """The value of what a scripted module's code holds."""
    return module._c.getattr(name)


def set_scripted_attribute(module: Any, name: str, value: Any) -> None:
    """Give it another value."""
    module._c.setattr(name, value)


def script_type(value: Any) -> str:
    """What a script object is of; "" where torch does not tell."""
    told = getattr(value, "_type", None)
    return "" if told is None else str(told())
