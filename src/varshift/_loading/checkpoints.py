"""Checkpoints: safetensors or weights-only torch files, loaded whole or not at all."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from varshift.errors import CheckpointError, MissingExtraError, listed

__all__ = ["load_checkpoint"]

_NESTS = ("state_dict", "model", "model_state_dict", "module", "state_dict_ema")
_PREFIXES = ("module.", "_orig_mod.", "model.")


def load_checkpoint(model: nn.Module, path: str | Path) -> tuple[str, ...]:
    """Load the weights at `path` into `model`; returns notes on what was unwrapped to make it fit.

    A nest ("state_dict", "model" …) or a prefix ("module.", "_orig_mod.", "model.") is taken off
    only where the keys then fit. If they do not, the model stays as it was.

    Raises:
        CheckpointError: no such file, unreadable, needs code execution, or does not fit; the
            message names the first missing and unexpected keys, or shapes that differ.
    """
    path = Path(path)
    notes: list[str] = []
    found = _unwrapped(_read(path), model, path, notes)
    _refuse_misfits(found, model, path)
    model.load_state_dict(found)
    return tuple(notes)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {str(path)!r}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Weights only load failed" in str(error) or "Unsupported" in str(error):
            held = re.search(r"GLOBAL ([\w.]+)", str(error))
            more = f" (a {held[1]})" if held else ""
            raise CheckpointError(
                f"{str(path)!r} holds more than weights{more}, and reading it would run code: "
                "refused. "
                "Save the weights alone, with torch.save(model.state_dict(), …) or "
                "safetensors.torch.save_file, or load the file in your own factory if you trust it"
            ) from error
        raise CheckpointError(f"{str(path)!r} is no torch checkpoint: {_line(error)}") from error
    except Exception as error:
        raise CheckpointError(
            f"{str(path)!r} is no torch checkpoint, or a broken one: reading it raised "
            f"{type(error).__name__}: {_line(error)}"
        ) from error


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError("safetensors", "cli", "a .safetensors checkpoint") from error
    try:
        return load_file(path)
    except Exception as error:
        raise CheckpointError(
            f"{str(path)!r} cannot be read as safetensors ({type(error).__name__}): {_line(error)}"
        ) from error


def _unwrapped(found: Any, model: nn.Module, path: Path, notes: list[str]) -> dict[str, Tensor]:
    wanted = set(model.state_dict())
    for nest in _NESTS:
        inner = found.get(nest) if isinstance(found, Mapping) else None
        if isinstance(inner, Mapping) and not wanted & set(found):
            found = inner
            notes.append(f"weights taken from {nest!r} of the checkpoint")
    if not isinstance(found, Mapping) or not any(isinstance(v, Tensor) for v in found.values()):
        held = listed(found) if isinstance(found, Mapping) else type(found).__name__
        raise CheckpointError(
            f"{str(path)!r} holds no named tensors (but {held}); save model.state_dict()"
        )
    for prefix in _PREFIXES:
        stripped = {key.removeprefix(prefix): value for key, value in found.items()}
        if len(wanted & set(stripped)) > len(wanted & set(found)):
            found = stripped
            notes.append(f"prefix {prefix!r} taken off the checkpoint's keys")
    return dict(found)


def _refuse_misfits(found: dict[str, Tensor], model: nn.Module, path: Path) -> None:
    own = model.state_dict()
    missing = [key for key in own if key not in found]
    unexpected = [key for key in found if key not in own]
    told = []
    if missing:
        told.append(f"{_are(len(missing), 'key')} missing (first {missing[0]!r})")
    if unexpected:
        told.append(f"{_are(len(unexpected), 'key')} unexpected (first {unexpected[0]!r})")
    shapes = [
        f"{key!r} is {tuple(found[key].shape)}, the model's is {tuple(own[key].shape)}"
        for key in own
        if key in found and found[key].shape != own[key].shape
    ]
    if shapes:
        told.append(f"{_are(len(shapes), 'shape')} different (first {shapes[0]})")
    if told:
        raise CheckpointError(
            f"{str(path)!r} does not fit the model: {'; '.join(told)}. Let the factory make the "
            "model as it was trained, or load the file there"
        )


def _are(count: int, noun: str) -> str:
    return f"{count} {noun} is" if count == 1 else f"{count} {noun}s are"


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]
