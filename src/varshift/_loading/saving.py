"""Weights into a file, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from varshift._files import forbidden, is_stream, replacing
from varshift.errors import CheckpointError, MissingExtraError, UsageError, WriteError, quoted

__all__ = ["refuse_unwritable", "save_checkpoint"]

_SUFFIXES = (".safetensors", ".pt", ".pth")


def save_checkpoint(model: nn.Module, path: str | Path) -> Path:
    """Write `model.state_dict()` to a .safetensors, .pt or .pth file, in one step.

    A pipe or a device (/dev/null) is written into, as .pt unless its name says otherwise.

    If it cannot be written (a full disk, an interrupt), what was there before stays as it was.

    Raises:
        UsageError: another suffix, or a folder that does not exist or takes no file.
        CheckpointError: the disk refuses, or .safetensors cannot hold what the state_dict holds.
    """
    path = Path(path)
    refuse_unwritable(path)
    state = model.state_dict()
    try:
        with replacing(path) as fresh:
            if path.suffix == ".safetensors":
                _save_safetensors(state, fresh)
            else:
                torch.save(state, fresh)
    except WriteError as error:
        raise CheckpointError(str(error)) from error
    except RuntimeError as error:  # of torch's own writer, on a full disk
        raise CheckpointError(
            f"{str(path)!r} cannot be written ({type(error).__name__}: {error}); what was there "
            "before is as it was"
        ) from error
    return path


def refuse_unwritable(path: str | Path) -> None:
    """Raise UsageError for a place that cannot take a checkpoint, before any work is done."""
    path = Path(path)
    if path.suffix not in _SUFFIXES and not is_stream(path):
        raise UsageError(f"{str(path)!r} ends in none of {', '.join(_SUFFIXES)}")
    # Not by `Path.is_dir`, which raises for a name longer than names may be.
    if not os.path.isdir(path.parent):
        folder, name = quoted(str(path.parent)), quoted(path.name)
        raise UsageError(f"there is no folder {folder} to write {name} into")
    if why := forbidden(path):
        raise UsageError(f"{quoted(str(path))} cannot be written ({why}): name another place")


def _save_safetensors(state: dict[str, object], path: Path) -> None:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import save_file
    except ImportError as error:
        raise MissingExtraError("safetensors", "cli", "a .safetensors checkpoint") from error
    others = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise CheckpointError(
            f"the state_dict holds more than tensors ({others[0]!r}), which .safetensors cannot; "
            "write a .pt file"
        )
    # Copies, since the format refuses tensors that share their storage.
    copies = {n: v.detach().cpu().clone() for n, v in state.items() if isinstance(v, Tensor)}
    try:
        save_file(copies, path)
    except SafetensorError as error:
        raise OSError(str(error)) from error
