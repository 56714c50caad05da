"""What cannot be read here: Keras layers, exported programs, statistics under names of their own.

Where nothing is known to normalise, "nothing can shift" would be a false all-clear if something
normalises in a way of its own. So the first two are refused, and a model without a norm that keeps
something of its training passes is told of.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from varshift._engine.borrow.hidden import everything, user_classes
from varshift._engine.borrow.objects import FIXED, of_others
from varshift._engine.borrow.walk import walk
from varshift._engine.sites import Inventory
from varshift.errors import ModelError
from varshift.results import Note, NoteKind, Structure

__all__ = ["Vectors", "no_norm", "refuse_unreadable", "unread"]

_MOST = 2**16  # numbers in what may be a statistic: channels, or a few for each
_SHOWN = 4
_DEEP = 3  # objects within each other


def refuse_unreadable(model: nn.Module) -> None:
    """Raise ModelError for a Keras model on torch, an exported program, and what holds either.

    Keras normalises with arithmetic of its own on statistics that are parameters, and its dropout
    follows the `training=` of the call. An exported program runs in the mode it was exported in,
    whatever its flags say.
    """
    keras = "keras" in sys.modules  # else nothing can be of its classes
    seen: set[type] = set()
    for path, module in everything(model) if keras else walk(model):
        if type(module) in seen:
            continue
        seen.add(type(module))
        kinds = [kind.__module__ for kind in type(module).__mro__]
        if keras and any(home.partition(".")[0] == "keras" for home in kinds):
            what = f"{path!r} is a Keras layer" if path else "the model is a Keras model"
            raise ModelError(
                f"{what} ({type(module).__name__}) on torch, which varshift cannot read: Keras "
                "keeps running statistics as parameters, normalises with arithmetic of its own, "
                "and its dropout follows the training= of the call, not train() and eval(). "
                "Save it with model.save('model.keras') and build the same layers of torch.nn: "
                "varshift footprint, predict and measure take TARGET --checkpoint model.keras and "
                "lay its weights onto them (docs/foreign-files.md)"
            )
        if any(home.startswith("torch.export.") for home in kinds):
            what = f"{path!r} is" if path else "the model is"
            raise ModelError(
                f"{what} a program that torch.export made: it keeps the mode that it was exported "
                "in, and train() and eval() change nothing. Pass the model that it was made of"
            )


class Vectors:
    """The small tensors that a model holds, as they are now: what may be running statistics."""

    def __init__(self, held: Inventory) -> None:
        self._model = held.model
        self._before = {name: tensor.detach().clone() for name, tensor in _small(held)}

    def written(self) -> tuple[str, ...]:
        """Names of those that hold other numbers now, whether written to or replaced."""
        return tuple(
            name
            for name, tensor in _small(Inventory(self._model))
            if (before := self._before.get(name)) is None or _differ(before, tensor.detach())
        )


def unread(written: Iterable[str], noisy: bool) -> Note:
    """That there is no norm to read, and what may be one all the same."""
    names = tuple(written)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    shown = ", ".join(names[:_SHOWN]) + more
    them = "these are" if len(names) > 1 else "this is"
    so = "what the noise shifts there" if noisy else "a shift there"
    return Note(
        f"no normalisation that varshift can read, but a training pass writes {shown}: if {them} "
        f"running statistics, {so} cannot be seen; keep them as attributes of the module that "
        "normalises, called running_mean and running_var, to have it measured",
        NoteKind.BY_HAND,
        names[0],
    )


def no_norm(structure: Structure, purpose: str) -> str:
    """Why there is nothing to do for `purpose` in a model without norms.

    >>> no_norm(Structure((), (), (), (), None, ""), "to measure").partition(": ")[2]
    'there is nothing to measure'
    """
    by_hand = [str(note) for note in structure.notes if _is_by_hand(note)]
    if by_hand:
        return f"there is nothing {purpose}: {by_hand[0]}"
    return (
        "the model has no BatchNorm with running statistics, so nothing can shift between training "
        f"and test: there is nothing {purpose}"
    )


def _is_by_hand(note: str) -> bool:
    return getattr(note, "kind", None) is NoteKind.BY_HAND


def _small(held: Inventory) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in _named(held):
        if (
            tensor.layout == torch.strided
            and not (tensor.is_meta or tensor.is_quantized or tensor.is_nested)
            and tensor.is_floating_point()
            and 1 < tensor.numel() <= _MOST
        ):
            yield name, tensor


def _named(held: Inventory) -> Iterator[tuple[str, Tensor]]:
    """Buffers, attributes and what lies in lists, dicts and plain objects, and parameters.

    Not those of torch's own classes, which are known: spectral norm writes vectors too.
    """
    for name, module, tensor in held.tensors():
        if any(user_classes(module)):
            yield name, tensor
    for path, module in held.modules:
        if not isinstance(module, torch.jit.ScriptModule) and any(user_classes(module)):
            for name, parameter in module._parameters.items():
                if parameter is not None and type(parameter) is nn.Parameter:
                    yield f"{path}.{name}".lstrip("."), parameter
            for name, value in vars(module).items():
                yield from _on_objects(value, f"{path}.{name}".lstrip("."), _DEEP)


def _on_objects(value: object, path: str, deep: int) -> Iterator[tuple[str, Tensor]]:
    """Tensors that are attributes of a plain object, or of one that it holds."""
    own = getattr(value, "__dict__", None)
    if type(value) in FIXED or type(own) is not dict or isinstance(value, (nn.Module, Tensor)):
        return
    if of_others(value):
        return
    for name, held in own.items():
        if isinstance(held, Tensor):
            yield f"{path}.{name}", held
        elif deep > 1:
            yield from _on_objects(held, f"{path}.{name}", deep - 1)


def _differ(before: Tensor, now: Tensor) -> bool:
    return before.shape != now.shape or not torch.equal(before.to(now.device), now)
