"""Checkpoints: safetensors, weights-only torch files, files of other frameworks; whole or not."""

from __future__ import annotations

import copy
import os
import pickle
import re
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from varshift._counting import counted, verb
from varshift._engine import put, same_bits
from varshift._files import unreadable
from varshift._loading.fitting import misfits
from varshift._loading.foreign import Mismatch, laid, read_foreign, source_of, unread
from varshift._loading.layouts import fitting_set, told
from varshift._loading.saying import first_line
from varshift.errors import CheckpointError, MissingExtraError, quoted

__all__ = ["file_and_key", "is_checkpoint", "load_checkpoint"]

_EXTRA = "_extra_state"
_SMALL, _RATIO = 64 << 20, 64  # what an archive may unpack to: bytes, and times its own


def is_checkpoint(path: str | Path) -> bool:
    """Whether something lies there to load: a file, or what TensorFlow made several files of.

    A key may stand behind it, as in `weights.pt#ema`.
    """
    file = file_and_key(path)[0]
    return os.path.isfile(file) or source_of(file) is not None


def file_and_key(path: str | Path) -> tuple[Path, str]:
    """The file, and the key of a set of weights in it; "" where none is named.

    >>> str(file_and_key("weights.pt#ema.shadow")[0]), file_and_key("weights.pt#ema.shadow")[1]
    ('weights.pt', 'ema.shadow')
    """
    file, hash_sign, key = str(path).rpartition("#")
    # Not `Path.exists`, which raises where the key makes a name longer than names may be.
    return (Path(file), key) if hash_sign and not os.path.exists(path) else (Path(path), "")


def load_checkpoint(model: nn.Module, path: str | Path) -> tuple[str, ...]:
    """Load the weights at `path` into `model`; returns notes on what was done to make it fit.

    The weights are found by the names and shapes of the model's own state, in whatever nest and
    under whatever prefix they stand (`varshift._loading.layouts`); `path` may name one of several
    sets, as in "weights.pt#ema". Files of Keras, TensorFlow and ONNX are laid on by name, order
    and shape (`varshift._loading.foreign`). If nothing fits, the model stays as it was.

    Raises:
        CheckpointError: no such file, unreadable, needs code execution, or does not fit; the
            message names the first missing and unexpected keys, values that are no tensors, and
            forms (sparse, quantised, meta), shapes or dtypes that differ.
        MissingExtraError: the file is of another framework, whose reader is not installed.
    """
    path, key = file_and_key(path)
    if os.path.isfile(path) and not path.stat().st_size:
        raise CheckpointError(
            f"{str(path)!r} is empty: whatever wrote it did not end; save it anew"
        )
    notes: list[str] = []
    place = ""
    if source_of(path) is not None:
        if key:
            raise CheckpointError(
                f"{str(path)!r} is of another framework, where no key chooses: leave {key!r} out"
            )
        found: Mapping[str, Any] = _foreign(model, path, notes)
    else:
        taken = fitting_set(_read(path), model.state_dict(), path, key)
        found, place = taken.state, taken.place
        notes.extend(told(taken, path))
    _refuse_misfits(found, model, path, place)
    _load(found, model, path)
    if spoilt := [name for name, value in model.state_dict().items() if _holds_nan(value)]:
        held = f"{counted(len(spoilt), 'tensor')} of the checkpoint {verb(len(spoilt), 'hold')}"
        notes.append(f"{held} NaN, the first {quoted(spoilt[0])}")
    return tuple(notes)


def _holds_nan(value: Any) -> bool:
    if not isinstance(value, Tensor) or is_lazy(value) or not value.is_floating_point():
        return False
    return bool(value.isnan().any())


def _foreign(model: nn.Module, path: Path, notes: list[str]) -> dict[str, Any]:
    try:
        found, said = laid(model, read_foreign(path))
    except Mismatch as error:
        raise CheckpointError(f"{str(path)!r} does not fit the model: {error}") from error
    notes.extend(said)
    return found


def _read(path: Path) -> Any:
    if said := unreadable(path):
        raise CheckpointError(said)
    if said := unread(path):
        raise CheckpointError(f"{str(path)!r} {said}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    _refuse_bomb(path)
    try:
        with _settings_allowed():
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
        raise CheckpointError(
            f"{str(path)!r} is no torch checkpoint: {first_line(error)}"
        ) from error
    except Exception as error:
        raise CheckpointError(
            f"{str(path)!r} is no torch checkpoint, or a broken one: reading it raised "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error


def _refuse_bomb(path: Path) -> None:
    """Raise CheckpointError for an archive that unpacks to many times its size, before it does.

    torch packs nothing; weights that somebody else has packed hardly get smaller.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            told = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):  # no archive, or a broken one
        return
    if told > max(_SMALL, _RATIO * path.stat().st_size):
        raise CheckpointError(
            f"{str(path)!r} would unpack to {told} bytes, many times what the file holds: refused"
        )


def _settings_allowed() -> AbstractContextManager[Any]:
    """Lets in what trainers keep beside the weights: argparse's Namespace, and numpy's numbers.

    Making these runs no code. Before torch 2.5 a file with them is refused.
    """
    allow = getattr(torch.serialization, "safe_globals", None)
    kinds = {type(np.dtype(each)) for each in (bool, np.int32, np.int64, np.float32, np.float64)}
    number = np.float64(0).__reduce__()[0]
    return nullcontext() if allow is None else allow([Namespace, np.dtype, number, *kinds])


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError("safetensors", "cli", "a .safetensors checkpoint") from error
    try:
        return load_file(path)
    except Exception as error:
        raise CheckpointError(
            f"{str(path)!r} cannot be read as safetensors ({type(error).__name__}): "
            f"{first_line(error)}"
        ) from error


def _refuse_misfits(found: Mapping[str, Any], model: nn.Module, path: Path, place: str) -> None:
    clauses = list(misfits(found, model.state_dict()))
    if clauses:
        at = f", at {quoted(place)}," if place else ""
        raise CheckpointError(
            f"{str(path)!r}{at} does not fit the model: {'; '.join(clauses)}. Let the factory make "
            "the model as it was trained, or load the file there"
        )


def _load(found: Mapping[str, Any], model: nn.Module, path: Path) -> None:
    """Write all of it, or put back what was there."""
    own = model.state_dict()
    before = {key: _copied(value) for key, value in own.items() if not is_lazy(value)}
    try:
        model.load_state_dict(dict(found))
        _refuse_lost(found, model.state_dict(), path)
    except BaseException as error:
        _put_back(own, before, model)
        if isinstance(error, Exception) and not isinstance(error, CheckpointError):
            raise CheckpointError(
                f"{str(path)!r} could not be loaded: the model raised {type(error).__name__}: "
                f"{first_line(error)}; it is as it was"
            ) from error
        raise


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)


def _put_back(own: dict[str, Any], before: dict[str, Any], model: nn.Module) -> None:
    tensors = {key: value for key, value in before.items() if isinstance(value, Tensor)}
    put((own[key], value) for key, value in tensors.items() if not same_bits(own[key], value))
    for key in before.keys() - tensors.keys():
        if key.endswith(_EXTRA):
            module = model.get_submodule(key.removesuffix(_EXTRA).rstrip("."))
            module.set_extra_state(before[key])


def _refuse_lost(found: Mapping[str, Any], own: dict[str, Any], path: Path) -> None:
    """Tensors that share memory hold what was written last: that must be what each is to hold."""
    places: dict[int, list[str]] = {}
    for key, tensor in own.items():
        if isinstance(tensor, Tensor) and tensor.layout == torch.strided and tensor.numel():
            places.setdefault(tensor.untyped_storage().data_ptr(), []).append(key)
    for shared in (keys for keys in places.values() if len(keys) > 1):
        for key in shared:
            wanted = found[key].to(own[key].device, own[key].dtype)
            if not same_bits(own[key].detach(), wanted):
                other = next(each for each in shared if each != key)
                raise CheckpointError(
                    f"{str(path)!r} holds other values for {key!r} than for {other!r}, which share "
                    "their memory in the model; let the factory make the model as it was trained"
                )
