"""A repair as a set of new values for named tensors: tried on without a write, then written.

A candidate is tried with tensors that stand in for the model's own, so that trying leaves no trace
at all, not even in version counters. Only what is accepted is written, into the same storage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from varshift.lending import walk

__all__ = ["Edit", "Undo", "edit_of", "named", "names_of", "write"]


@dataclass(frozen=True, eq=False)
class Edit:
    """New values by the names that `state_dict` uses: "layer1.0.bn2.running_var"."""

    values: Mapping[str, Tensor]

    def then(self, later: Edit) -> Edit:
        """This one, and on top of it a later one."""
        return Edit({**self.values, **later.values})

    @contextmanager
    def standing_in(self, model: nn.Module) -> Iterator[None]:
        """Inside the block the model computes with the new values; its own tensors are untouched.

        A tensor that the model holds in several places is replaced in all of them.
        """
        with ExitStack() as stack:
            for name, value in self.values.items():
                own = named(model, name)
                stand_in = value.to(own.device, own.dtype).reshape(own.shape).clone()
                if isinstance(own, nn.Parameter):
                    stand_in = nn.Parameter(stand_in, requires_grad=False)
                for holder, key in _places(model, own):
                    stack.callback(holder.__setitem__, key, own)
                    holder[key] = stand_in
            yield


def names_of(model: nn.Module) -> dict[int, str]:
    """The name of every parameter, buffer and tensor attribute of the model, by its id."""
    found: dict[int, str] = {}
    for path, module in walk(model):
        for holder in (module._parameters, module._buffers, vars(module)):
            for key, tensor in holder.items():
                if isinstance(tensor, Tensor):
                    found.setdefault(id(tensor), f"{path}.{key}".lstrip("."))
    return found


def edit_of(model: nn.Module, pairs: Iterable[tuple[Tensor, Tensor]]) -> Edit:
    """The edit that gives tensors of the model new values."""
    names = names_of(model)
    return Edit({names[id(tensor)]: value for tensor, value in pairs})


class Undo:
    """What the edited tensors held before, and the way back. May be called again."""

    def __init__(self, held: dict[str, tuple[Tensor, Tensor]]) -> None:
        self._held = held

    def __call__(self) -> None:
        """Put the old values back, bit for bit, into the same storage."""
        with torch.no_grad():
            for tensor, old in self._held.values():
                tensor.copy_(old)

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """Each tensor that was written, by name, with what it held."""
        return ((name, old) for name, (_, old) in self._held.items())


def write(edit: Edit, model: nn.Module) -> Undo:
    """Write the new values in place, all of them or none."""
    held = {name: (named(model, name), named(model, name).detach().clone()) for name in edit.values}
    undo = Undo(held)
    try:
        with torch.no_grad():
            for name, value in edit.values.items():
                held[name][0].copy_(value.reshape(held[name][0].shape))
    except BaseException:
        undo()
        raise
    return undo


def named(model: nn.Module, name: str) -> Tensor:
    """The parameter, buffer or tensor attribute of that name."""
    path, _, key = name.rpartition(".")
    module = model.get_submodule(path)
    for holder in (module._parameters, module._buffers, vars(module)):
        if isinstance(found := holder.get(key), Tensor):
            return found
    raise KeyError(name)


def _places(model: nn.Module, own: Tensor) -> list[tuple[dict[str, Any], str]]:
    """Every dictionary of the model that holds this very tensor, and under which key."""
    return [
        (holder, key)
        for _, module in walk(model)
        for holder in (module._parameters, module._buffers, vars(module))
        for key, held in holder.items()
        if held is own
    ]
