"""A repair as a set of new values for named tensors: tried on without a write, then written.

A candidate is tried with tensors that stand in for the model's own, so that trying leaves no trace
at all, not even in version counters. Only what is accepted is written, into the same storage.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.borrow.bits import same_bits
from varshift._engine.borrow.containers import tensors_within
from varshift._engine.borrow.hidden import everything
from varshift._engine.inturn import later_than, opened
from varshift._engine.versions import Counted, counted
from varshift.errors import ModelError, UsageError

__all__ = [
    "Edit",
    "Undo",
    "edit_of",
    "named",
    "names_of",
    "put",
    "put_back",
    "refuse_overflow",
    "write",
]


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
        places = _places(model) if self.values else {}
        with ExitStack() as stack:
            for name, value in self.values.items():
                own = named(model, name)
                refuse_overflow(name, own, value)
                stand_in = value.to(own.device, own.dtype).reshape(own.shape).clone()
                if isinstance(own, nn.Parameter):
                    stand_in = nn.Parameter(stand_in, requires_grad=False)
                for place, holder, key in places[id(own)]:
                    if isinstance(holder, tuple):
                        raise UsageError(
                            f"{place!r} lies in a tuple, where no other tensor can stand in for "
                            "it; keep it in a list, or as a buffer (register_buffer)"
                        )
                    stack.callback(holder.__setitem__, key, own)
                    holder[key] = stand_in
            yield


def names_of(model: nn.Module) -> dict[int, str]:
    """The name of every parameter, buffer and other tensor that the model holds, by its id."""
    found: dict[int, str] = {}
    for name, holder, key in _held(model):
        found.setdefault(id(holder[key]), name)
    return found


def edit_of(model: nn.Module, pairs: Iterable[tuple[Tensor, Tensor]]) -> Edit:
    """The edit that gives tensors of the model new values."""
    names = names_of(model)
    held = list(pairs)
    if any(id(tensor) not in names for tensor, _ in held):
        raise ModelError(
            "the statistics of a norm are other tensors after a forward than before it: there is "
            "nothing to write to; keep them as buffers (register_buffer), written to in place"
        )
    return Edit({names[id(tensor)]: value for tensor, value in held})


@dataclass(frozen=True, eq=False)
class _Held:
    """What a tensor held and was given, how it counted, and every name the model has for it."""

    names: tuple[str, ...]
    old: Tensor
    new: Tensor
    counted: Counted | None

    def other(self, old: Tensor) -> _Held:
        """The way back to another value, which a graph of the user's need not have seen."""
        old = old.to(self.old.device)
        same = old.dtype == self.old.dtype and same_bits(old, self.old)
        return _Held(self.names, old, self.new, self.counted if same else None)

    def found(self, earlier: _Held) -> bool:
        """Whether what it found there is what an earlier change had put there."""
        old, new = self.old, earlier.new.to(self.old.device, self.old.dtype)
        return old.shape == new.shape and same_bits(old, new)


class Undo:
    """What the edited tensors held before, and the way back. May be called again.

    Goes by name, since `model.double()` makes other tensors of the buffers; does not keep the
    model alive. Where several are gone, in whatever order, the model is what it was before the
    first.
    """

    def __init__(self, model: weakref.ref[nn.Module], held: dict[str, _Held]) -> None:
        self._model = model
        self._held = held
        opened(self)

    def __call__(self) -> None:
        """Put the old values back, bit for bit where the dtype is still the same; all or none."""
        model = self._model()
        if model is None:
            raise UsageError("the model that was changed no longer exists: nothing to undo")
        places = [(held, name) for held in self._held.values() for name in held.names]
        pairs = [(_found(model, name, held.old), held.old) for held, name in places]
        put_back(pairs, [held.counted for held, _ in places])
        for later in later_than(self):
            if isinstance(later, Undo) and later._model() is model:
                later._without(self._held)

    def _without(self, earlier: dict[str, _Held]) -> None:
        """An earlier change is gone: what it had put there is not to come back."""
        for name, before in earlier.items():
            held = self._held.get(name)
            if held is not None and held.found(before):
                self._held[name] = held.other(before.old)

    def back_to(self, values: Mapping[str, Tensor]) -> Undo:
        """The way back to other values of some of them."""
        held = {
            name: held.other(values[name]) if name in values else held
            for name, held in self._held.items()
        }
        return Undo(self._model, held)

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """Each tensor that was written, by name, with what it held."""
        return ((name, held.old) for name, held in self._held.items())


def write(edit: Edit, model: nn.Module, ways: list[Undo] | None = None) -> Undo:
    """Write the new values in place, all of them or none.

    `ways` takes in the way back before anything is written: what is returned may be lost to an
    interrupt on its way.
    """
    own = {name: named(model, name) for name in edit.values}
    for name, value in edit.values.items():
        refuse_overflow(name, own[name], value)
    places = _places(model)
    counts = counted(own.values())
    undo = Undo(
        weakref.ref(model),
        {
            name: _Held(
                tuple(n for n, _, _ in places[id(tensor)]),
                tensor.detach().clone(),
                edit.values[name].detach().to(tensor.dtype).reshape(tensor.shape).clone(),
                each,
            )
            for (name, tensor), each in zip(own.items(), counts, strict=True)
        },
    )
    if ways is not None:
        ways.append(undo)
    try:
        put(
            ((own[name], value.reshape(own[name].shape)) for name, value in edit.values.items()),
            counts,
        )
    except BaseException:
        undo()
        raise
    return undo


def put(
    pairs: Iterable[tuple[Tensor, Tensor]], counts: Iterable[Counted | None] = repeat(None)
) -> None:
    """Give tensors of a borrowed model other values, which round to the tensors' own dtype.

    Where their `counted` is given `put_back` can give their versions back too.
    """
    off = _Unrecorded()
    with off, off, off:
        for (tensor, value), each in zip(pairs, counts, strict=False):
            tensor.copy_(value) if each is None else each.put_in(tensor, value)


def put_back(pairs: Iterable[tuple[Tensor, Tensor]], counts: Iterable[Counted | None]) -> None:
    """Give them the values that they had when they were `counted`."""
    off = _Unrecorded()
    with off, off, off:
        for (tensor, old), each in zip(pairs, counts, strict=True):
            tensor.copy_(old) if each is None else each.put_back(tensor, old)


class _Unrecorded:
    """`torch.no_grad()`, to be entered several times over: each level leaves it for those inside.

    An interrupt that strikes while it is left would leave it standing.
    """

    def __init__(self) -> None:
        self._before = torch.is_grad_enabled()

    def __enter__(self) -> None:
        torch.set_grad_enabled(False)

    def __exit__(self, *raised: object) -> None:
        torch.set_grad_enabled(self._before)


def refuse_overflow(name: str, tensor: Tensor, value: Tensor) -> None:
    """Raise ModelError where a value is infinite once it has the dtype of the tensor it is for."""
    if not tensor.is_floating_point():
        return
    lost = value.to(tensor.dtype).isinf() & value.isfinite()
    if bool(lost.any()):
        dtype = str(tensor.dtype).removeprefix("torch.")
        wider = "norm.double()" if tensor.element_size() > 2 else "norm.float()"
        raise ModelError(
            f"{name!r} is {dtype}, which ends at {torch.finfo(tensor.dtype).max:.5g}, and would "
            f"have to hold {float(value[lost].abs().max()):.4g}: keep the norm in a wider dtype "
            f"({wider}); nothing was written"
        )


def named(model: nn.Module, name: str) -> Tensor:
    """The parameter, buffer, tensor attribute or tensor in a list or dict of that name."""
    path, _, key = name.rpartition(".")
    module = _submodule(model, path)
    for holder in () if module is None else _holders(module):
        if isinstance(found := holder.get(key), Tensor):
            return found
    for place, within, at in _held(model):
        if place == name:
            tensor: Tensor = within[at]
            return tensor
    raise KeyError(name)


def _submodule(model: nn.Module, path: str) -> nn.Module | None:
    """The one of that path; None where the path goes on into a list or a dict."""
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def _found(model: nn.Module, name: str, old: Tensor) -> Tensor:
    try:
        tensor = named(model, name)
    except (KeyError, AttributeError):
        raise UsageError(
            f"{name!r} was changed and is no longer in the model: nothing was put back"
        ) from None
    if tensor.shape != old.shape:
        raise UsageError(
            f"{name!r} had shape {tuple(old.shape)} and now has {tuple(tensor.shape)}: nothing was "
            "put back"
        )
    return tensor


def _places(model: nn.Module) -> dict[int, list[tuple[str, Any, Any]]]:
    """By a tensor's id, every container of the model that holds it: its name, and the key."""
    found: dict[int, list[tuple[str, Any, Any]]] = {}
    for name, holder, key in _held(model):
        found.setdefault(id(holder[key]), []).append((name, holder, key))
    return found


def _held(model: nn.Module) -> Iterator[tuple[str, Any, Any]]:
    """Every tensor that a module holds: its name, the container and the key."""
    for path, module in everything(model):
        for holder in _holders(module):
            for key, value in holder.items():
                if isinstance(value, Tensor):
                    yield f"{path}.{key}".lstrip("."), holder, key
        if not isinstance(module, torch.jit.ScriptModule):
            for name, within, at in tensors_within(module):
                yield f"{path}.{name}".lstrip("."), within, at


def _holders(module: nn.Module) -> tuple[dict[str, Any], ...]:
    # Scripted modules keep their tensors in C++, out of reach: nothing there is changed.
    if isinstance(module, torch.jit.ScriptModule):
        return ()
    return module._parameters, module._buffers, vars(module)
