"""What `--data` and `--input-shape` name, as batches and as one example."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from varshift._loading.datasets import NAMES, load_images
from varshift._loading.factories import load_factory
from varshift._repair.labels import LABELS
from varshift.errors import DataError, UsageError

__all__ = ["example_from_shapes", "load_data"]


def example_from_shapes(shapes: Sequence[str]) -> Any:
    """Random normal inputs of batch 2 from shapes such as "3,64,64"; several become a tuple.

    Only the first of several is the input; pass `forward` (or a factory) for models that take
    more.

    >>> example_from_shapes(["3,8,8"]).shape
    torch.Size([2, 3, 8, 8])
    """
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(2, *_sizes(shape), generator=generator) for shape in shapes]
    if not made:
        raise UsageError("no shape given; write --input-shape 3,64,64")
    return made[0] if len(made) == 1 else tuple(made)


def load_data(
    spec: str,
    *,
    root: str | None = None,
    batch_size: int = 64,
    labelled: bool = False,
) -> Any:
    """Batches from a named set, a file of inputs, or a `module:factory`.

    A named set gives its training images, with ":test" behind the name its test images. With
    `labelled`, named sets and files that hold labels ("y", "labels", "targets") give pairs.
    """
    if batch_size < 1:
        raise UsageError(f"--batch-size is {batch_size}; it must be at least 1")
    name, _, part = spec.partition(":")
    if name in NAMES and part in ("", "train", "test"):
        images = load_images(name, root)
        held = (
            (images.test, images.test_labels)
            if part == "test"
            else (images.train, images.train_labels)
        )
        return _batches(*held, batch_size, labelled)
    path = Path(spec)
    if path.suffix in (".pt", ".npy", ".npz", ".safetensors"):
        return _batches(*_inputs(path), batch_size, labelled)
    if ":" in spec:
        return load_factory(spec)
    raise UsageError(
        f"--data {spec!r} is no file of inputs (.pt, .npy, .npz, .safetensors), no module:factory "
        f"and none of {', '.join(NAMES)}"
    )


def _batches(inputs: Tensor, labels: Tensor | None, batch_size: int, labelled: bool) -> Any:
    if not labelled or labels is None:
        return inputs.split(batch_size)
    return list(zip(inputs.split(batch_size), labels.split(batch_size), strict=True))


def _sizes(shape: str) -> list[int]:
    try:
        sizes = [int(size) for size in shape.strip().strip("()[]").rstrip(",").split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise UsageError(
            f"--input-shape {shape!r} is no shape; write sizes without the batch, as in 3,64,64"
        )
    return sizes


def _inputs(path: Path) -> tuple[Tensor, Tensor | None]:
    """The inputs in a file, and the labels where it holds some of the same number."""
    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r}")
    try:
        found: Any = _read(path)
    except Exception as error:
        raise DataError(f"{str(path)!r} cannot be read ({type(error).__name__})") from error
    labels = None
    if isinstance(found, dict):
        labels = next((found[name] for name in LABELS if name in found), None)
        rest = [value for name, value in found.items() if name not in LABELS]
        found = next(iter(rest), None)
    found, labels = (_as_tensor(held, path) for held in (found, labels))
    if not isinstance(found, Tensor) or found.ndim == 0:
        raise DataError(f"{str(path)!r} holds no tensor of inputs; save one of shape (N, …)")
    inputs = found.float() if found.dtype == torch.uint8 else found
    return inputs, None if labels is None else _checked(labels, len(found), path)


def _checked(labels: Any, inputs: int, path: Path) -> Tensor:
    """Labels of a file, one for each input."""
    if not isinstance(labels, Tensor) or labels.ndim == 0:
        kind = "a single number" if isinstance(labels, Tensor) else f"a {type(labels).__name__}"
        raise DataError(
            f"{str(path)!r} holds {kind} as labels; save a tensor of shape ({inputs}, …) with "
            "whole numbers for classes, or leave them out"
        )
    if len(labels) != inputs:
        raise DataError(f"{str(path)!r} holds {inputs} inputs but {len(labels)} labels")
    return labels


def _as_tensor(held: Any, path: Path) -> Any:
    try:
        return torch.from_numpy(held) if isinstance(held, np.ndarray) else held
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
        return torch.load(path, map_location="cpu", weights_only=True)
    loaded = np.load(path)
    return dict(loaded) if path.suffix == ".npz" else loaded
