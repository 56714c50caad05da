"""Whether a checkpoint fits a model, key by key, before anything of the model is touched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from varshift._counting import counted, verb
from varshift.errors import quoted

__all__ = ["misfits"]


def misfits(found: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    """What does not fit, one clause for each kind of misfit with its first case."""
    missing = [key for key in own if key not in found]
    unexpected = [key for key in found if key not in own]
    if missing:
        yield f"{_are(len(missing), 'key')} missing ({_first(missing)})"
    if unexpected:
        yield f"{_are(len(unexpected), 'key')} unexpected ({_first(unexpected)})"
    both = {key: (found[key], own[key]) for key in own if key in found}
    for noun, differs in _KINDS:
        told = {key: said for key, pair in both.items() if (said := differs(*pair))}
        if told:
            yield f"{_are(len(told), noun)} different ({_first(told)} {next(iter(told.values()))})"
            # What has no shape, or cannot be copied, has nothing else to compare.
            both = {key: pair for key, pair in both.items() if key not in told}


def _kind(held: Any, own: Any) -> str:
    """A number, an array or nothing in place of a tensor."""
    if isinstance(held, Tensor) or not isinstance(own, Tensor):
        return ""
    return (
        f"is {held!r:.40}, no tensor" if isinstance(held, (int, float)) else f"is a {_name(held)}"
    )


def _form(held: Any, own: Any) -> str:
    """A tensor without values, or with values that are kept otherwise."""
    if not isinstance(own, Tensor):
        return ""
    if is_lazy(held):
        return "has no shape yet"
    if own.is_meta or held.is_meta:
        which = "in the model" if own.is_meta else "in the file"
        return f"has no values {which}: it is on the meta device"
    for said, told in _FORMS:
        if said(held) != said(own):
            return f"is {told if said(held) else 'an ordinary one'}, the model's is not"
    if held.layout != own.layout:
        return f"is {_plain(held.layout)}, the model's is {_plain(own.layout)}"
    return ""


def _shape(held: Any, own: Any) -> str:
    if not isinstance(own, Tensor) or is_lazy(own) or held.shape == own.shape:
        return ""
    return f"is {tuple(held.shape)}, the model's is {tuple(own.shape)}"


def _dtype(held: Any, own: Any) -> str:
    """A dtype whose values the model's cannot take: complex for real, fractions for whole."""
    if not isinstance(own, Tensor) or held.is_quantized or held.dtype == own.dtype:
        return ""
    other = f"is {_plain(held.dtype)}, the model's is {_plain(own.dtype)}"
    if held.is_complex():
        return "" if own.is_complex() else other
    if own.is_floating_point() or own.is_complex():
        return _beyond(held, own)
    # Old files have 0 and 1 for False and True, and counts as fractions: what is the same may go.
    return "" if torch.equal(held.to(own.dtype).to(held.dtype), held) else other


def _beyond(held: Tensor, own: Tensor) -> str:
    """Numbers that are infinite in the model's dtype; rounded they may be."""
    most = _largest(own.dtype)
    if held.layout != torch.strided or not held.numel() or _largest(held.dtype) <= most:
        return ""
    lost = held[held.isfinite() & (held.abs() > most)]
    if not lost.numel():
        return ""
    return f"holds {float(lost.abs().max()):.4g}, which the model's {_plain(own.dtype)} cannot"


def _largest(dtype: torch.dtype) -> float:
    if dtype == torch.bool:
        return 1.0
    real = dtype.is_floating_point or dtype.is_complex
    return float(torch.finfo(dtype).max if real else torch.iinfo(dtype).max)


def _quantised(tensor: Tensor) -> bool:
    return tensor.is_quantized


def _nested(tensor: Tensor) -> bool:
    return tensor.is_nested


_FORMS: tuple[tuple[Callable[[Tensor], bool], str], ...] = (
    (_quantised, "quantised"),
    (_nested, "a nested tensor"),
)
_KINDS: tuple[tuple[str, Callable[[Any, Any], str]], ...] = (
    ("value", _kind),
    ("tensor", _form),
    ("shape", _shape),
    ("dtype", _dtype),
)


def _are(count: int, noun: str) -> str:
    return f"{counted(count, noun)} {verb(count, 'are')}"


def _first(keys: Collection[str]) -> str:
    return f"{'first ' * (len(keys) > 1)}{quoted(next(iter(keys)))}"


def _name(held: Any) -> str:
    return type(held).__name__


def _plain(of_torch: Any) -> str:
    return str(of_torch).removeprefix("torch.").replace("_", " ")
