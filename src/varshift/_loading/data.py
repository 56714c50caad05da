"""What `--data` and `--input-shape` name, as batches and as one example."""

from __future__ import annotations

import math
import os
import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from varshift._counting import counted
from varshift._files import unreadable
from varshift._loading.batched import Shard
from varshift._loading.datasets import NAMES, load_images
from varshift._loading.factories import load_factory
from varshift._loading.folders import from_folder
from varshift._loading.preparing import Pictures
from varshift._loading.saved_datasets import from_saved, is_saved
from varshift._loading.saying import first_line
from varshift._loading.sharding import every
from varshift._repair.labels import LABELS
from varshift.errors import DataError, UsageError

__all__ = ["example_from_shapes", "load_data"]

_MOST = 2**30  # numbers in a sample that is made up: 4 GiB of float32


def example_from_shapes(shapes: Sequence[str]) -> Any:
    """Random normal inputs of batch 2 from shapes such as "3,64,64"; several become a tuple.

    Only the first of several is the input; pass `forward` (or a factory) for models that take
    more.

    >>> example_from_shapes(["3,8,8"]).shape
    torch.Size([2, 3, 8, 8])
    """
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(2, *_sizes(shape), generator=generator, device="cpu") for shape in shapes]
    if not made:
        raise UsageError("no shape given; write --input-shape 3,64,64")
    return made[0] if len(made) == 1 else tuple(made)


def load_data(
    spec: str,
    *,
    root: str | None = None,
    batch_size: int = 64,
    labelled: bool = False,
    pictures: Pictures | None = None,
    shard: Shard = (0, 1),
    notes: list[str] | None = None,
) -> Any:
    """Batches from a named set, a file of inputs, a folder, or a `module:factory`.

    A named set gives its training images, with ":test" behind the name its test images. With
    `labelled`, named sets and files that hold labels ("y", "labels", "targets") give pairs. A
    folder is one of pictures, a folder for each class, which are prepared as `pictures` says, or
    one that `datasets` has written, of which ":train" behind it names a part.

    Of several ranks each takes its `shard`, (rank, ranks): every so many-th batch. `notes` takes in
    what a reader must know of the data.
    """
    if not spec:
        raise UsageError("--data is empty; give a file, a folder, a module:factory or a named set")
    if batch_size < 1:
        raise UsageError(f"--batch-size is {batch_size}; it must be at least 1")
    notes = [] if notes is None else notes
    name, _, part = spec.partition(":")
    if name in NAMES and part in ("", "train", "test"):
        images = load_images(name, root)
        held = (
            (images.test, images.test_labels)
            if part == "test"
            else (images.train, images.train_labels)
        )
        return _batches(*held, batch_size, labelled, shard)
    if name in NAMES and part and not os.path.isfile(f"{name}.py"):
        raise UsageError(f"--data {spec!r}: {name!r} has the parts train and test")
    path = Path(spec)
    if path.suffix in (".pt", ".npy", ".npz", ".safetensors") and not os.path.isdir(path):
        inputs, labels = _inputs(path, pictures, notes)
        return _batches(_as_model(inputs, pictures, notes), labels, batch_size, labelled, shard)
    if (found := _folder(spec)) is not None:
        return _from_folder(*found, batch_size, labelled, pictures, shard, notes)
    if ":" in spec:
        return every(load_factory(spec), shard, notes)
    raise UsageError(
        f"--data {spec!r} is no file of inputs (.pt, .npy, .npz, .safetensors), no folder of "
        f"pictures or of datasets, no module:factory and none of {', '.join(NAMES)}{_meant(spec)}"
    )


def _meant(spec: str) -> str:
    """A hint for a file of code without the name of what is in it."""
    if not spec.endswith(".py") or not os.path.isfile(spec):
        return ""
    return f"; name what gives the batches, as in {spec}:train_loader"


def _as_model(inputs: Tensor, pictures: Pictures | None, notes: list[str]) -> Tensor:
    """Numbers of another precision than the model's weights, as numpy's own float64, become it."""
    if pictures is None or not inputs.is_floating_point():
        return inputs
    kinds = (each.dtype for each in pictures.model.parameters() if each.is_floating_point())
    kind = next(kinds, inputs.dtype)
    if kind != inputs.dtype:
        given, wanted = (str(each).removeprefix("torch.") for each in (inputs.dtype, kind))
        notes.append(f"the inputs are {given} in the file and become {wanted}, the model's dtype")
    return inputs.to(kind)


def _folder(spec: str) -> tuple[Path, str] | None:
    """A folder and the part of it that is named; None where there is none."""
    place, colon, part = spec.rpartition(":")
    if os.path.isdir(spec):  # not by `Path.is_dir`, which raises for too long a name
        return Path(spec), ""
    # Not a package of that name beside us, of which a loader is named.
    if colon and os.path.isdir(place) and (is_saved(Path(place)) or _within(place, part)):
        return Path(place), part
    return None


def _within(place: str, part: str) -> bool:
    return os.path.isdir(Path(place, part))


def _from_folder(
    folder: Path,
    part: str,
    batch_size: int,
    labelled: bool,
    pictures: Pictures | None,
    shard: Shard,
    notes: list[str],
) -> Any:
    if pictures is None:
        pictures = Pictures(nn.Identity())
    if is_saved(folder):
        preparation = pictures.preparation
        return from_saved(folder, part, preparation, batch_size, shard, labelled, notes)
    folder = folder / part
    if is_saved(folder):  # one part of several, by its own folder
        return _from_folder(folder, "", batch_size, labelled, pictures, shard, notes)
    return from_folder(folder, pictures.preparation(), batch_size, shard, notes)


def _batches(
    inputs: Tensor, labels: Tensor | None, batch_size: int, labelled: bool, shard: Shard
) -> Any:
    rank, ranks = shard
    batch_size = min(batch_size, len(inputs))  # torch takes no more than 64 bits
    own = inputs.split(batch_size)[rank::ranks]
    if not labelled or labels is None:
        return own
    return list(zip(own, labels.split(batch_size)[rank::ranks], strict=True))


def _sizes(shape: str) -> list[int]:
    try:
        sizes = [int(size) for size in shape.strip().strip("()[]").rstrip(",").split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise UsageError(
            f"--input-shape {shape!r} is no shape; write sizes without the batch, as in 3,64,64"
        )
    if math.prod(sizes) > _MOST:
        raise UsageError(
            f"--input-shape {shape!r} has {math.prod(sizes):.2g} numbers in one sample; at most "
            f"{_MOST:.2g} are made"
        )
    return sizes


def _inputs(
    path: Path, pictures: Pictures | None, notes: list[str]
) -> tuple[Tensor, Tensor | None]:
    """The inputs in a file, and the labels where it holds some of the same number."""
    if said := unreadable(path):
        raise DataError(said)
    try:
        found: Any = _read(path)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{str(path)!r} holds more than tensors, and reading it would run code: refused. Save "
            "the inputs alone, as a tensor of shape (N, …), or give --data as file.py:loader"
        ) from error
    except Exception as error:
        raise DataError(
            f"{str(path)!r} cannot be read as inputs ({type(error).__name__}: "
            f"{first_line(error)}); save an array or a tensor of shape (N, …), or give --data as "
            "file.py:loader"
        ) from error
    labels = None
    if isinstance(found, dict):
        labels = next((found[name] for name in LABELS if name in found), None)
        rest = [name for name in found if name not in LABELS]
        if pictures is not None and rest:
            _refuse_weights(path, rest, pictures.model)
        if len(rest) > 1:
            held = f"{str(path)!r} holds {len(rest)} entries beside labels"
            notes.append(f"{held}: the first, {rest[0]!r}, is taken for the inputs")
        found = found[rest[0]] if rest else None
    found, labels = (_as_tensor(held, path) for held in (found, labels))
    if not isinstance(found, Tensor) or found.ndim == 0:
        raise DataError(f"{str(path)!r} holds no tensor of inputs; save one of shape (N, …)")
    if found.layout != torch.strided or found.is_quantized or found.is_meta or found.is_nested:
        raise DataError(
            f"{str(path)!r} holds inputs that are sparse, quantised or without values; save a "
            "tensor of numbers, such as inputs.to_dense() or inputs.dequantize()"
        )
    if not len(found):
        raise DataError(f"{str(path)!r} holds no samples: its shape is {tuple(found.shape)}")
    inputs = found.float() if found.dtype == torch.uint8 else found
    return inputs, None if labels is None else _checked(labels, len(found), path)


def _refuse_weights(path: Path, names: Sequence[str], model: nn.Module) -> None:
    """Raise UsageError where every name is one of the model's own tensors."""
    weights = model.state_dict().keys()
    if all(name in weights for name in names):
        raise UsageError(
            f"--data {str(path)!r} holds weights of this model, {names[0]!r} for one: give it as "
            "--checkpoint, and inputs as --data"
        )


def _checked(labels: Any, inputs: int, path: Path) -> Tensor:
    """Labels of a file, one for each input."""
    if not isinstance(labels, Tensor) or labels.ndim == 0:
        kind = "a single number" if isinstance(labels, Tensor) else f"a {type(labels).__name__}"
        raise DataError(
            f"{str(path)!r} holds {kind} as labels; save a tensor of shape ({inputs}, …) with "
            "whole numbers for classes, or leave them out"
        )
    if len(labels) != inputs:
        said = f"{counted(inputs, 'input')} but {counted(len(labels), 'label')}"
        raise DataError(f"{str(path)!r} holds {said}")
    return labels


def _as_tensor(held: Any, path: Path) -> Any:
    if not isinstance(held, np.ndarray):
        return held
    try:
        # torch takes no bytes in another machine's order.
        return torch.from_numpy(held.astype(held.dtype.newbyteorder("="), copy=False))
    except TypeError as error:
        raise DataError(
            f"{str(path)!r} holds an array of {held.dtype}, which torch cannot take; save numbers "
            "(for labels, whole numbers from 0)"
        ) from error


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if path.suffix == ".pt":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sparse tensors, which are refused by name
            return torch.load(path, map_location="cpu", weights_only=True)
    loaded = np.load(path)
    return dict(loaded) if path.suffix == ".npz" else loaded
