"""What a result is about: the model in a few words, so that a report says whose it is."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from varshift._engine.borrow.model import unwrapped
from varshift._engine.borrow.walk import walk

__all__ = ["subject_of"]


def subject_of(model: nn.Module) -> str:
    """Class, number of parameters, their dtypes and devices.

    Example:
        >>> subject_of(nn.Linear(3, 2))
        'Linear, 8 parameters, float32 on cpu'
    """
    inner = unwrapped(model)
    each = (p for _, module in walk(inner) for p in module._parameters.values())
    held = {id(parameter): parameter for parameter in each if parameter is not None}
    count = sum(parameter.numel() for parameter in held.values())
    if not count:
        return f"{type(inner).__name__}, without parameters"
    kinds = _several(str(parameter.dtype).removeprefix("torch.") for parameter in held.values())
    places = _several(str(parameter.device) for parameter in held.values())
    return f"{type(inner).__name__}, {_short(count)} parameters, {kinds} on {places}"


def _several(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))


def _short(count: int) -> str:
    """`8`, `12.3 k`, `25.6 M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= size:
            return f"{count / (1e3 if unit == 'k' else size):.3g} {unit}"
    return f"{count:,}"
