"""Folders of pictures, a folder for each class, as torchvision's ImageFolder has them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from varshift._counting import counted
from varshift._loading.batched import Batched, Shard, in_random_order
from varshift._loading.preparing import Preparation
from varshift.errors import DataError, MissingExtraError

__all__ = ["from_folder", "prepared"]

_PARTS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "dev"})


def from_folder(
    folder: Path, preparation: Preparation, batch_size: int, shard: Shard, notes: list[str]
) -> Batched:
    """Pairs (inputs (N, C, H, W), classes (N,)) in a fixed random order.

    Raises DataError for a folder of parts, one without classes or pictures, and, once it is read,
    for a file that is no picture.
    """
    try:
        from torchvision.datasets import ImageFolder
    except ImportError as error:
        raise MissingExtraError("torchvision", "zoo", "a folder of pictures") from error
    try:
        within = sorted(each.name for each in os.scandir(folder) if each.is_dir())
    except OSError as error:
        raise DataError(f"{str(folder)!r} cannot be read ({error.strerror})") from error
    parts = [name for name in within if name.lower() in _PARTS]
    if len(parts) > 1 or (parts and parts == within):
        raise DataError(
            f"{str(folder)!r} holds the parts {', '.join(parts)}, no classes; name one of them, as "
            f"--data {folder / parts[0]}"
        )
    try:
        found = ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise DataError(_none_there(folder, within, error)) from error
    notes.append(
        f"{counted(len(found.samples), 'picture')} of {counted(len(found.classes), 'class')}, in a "
        f"fixed random order; {preparation.said}"
    )

    def read(at: Sequence[int]) -> tuple[Tensor, Tensor]:
        held = [found.samples[each] for each in at]
        pictures = [prepared(partial(_opened, path), path, preparation) for path, _ in held]
        return stacked(pictures), torch.tensor([label for _, label in held], device="cpu")

    return Batched(read, in_random_order(len(found.samples)), batch_size, shard)


def prepared(take: Callable[[], Any], name: str, preparation: Preparation) -> Tensor:
    """The picture that `take` gives, as an input. Raises DataError with its name."""
    try:
        picture = take().convert(preparation.mode)
    except Exception as error:
        raise DataError(
            f"{name!r} cannot be read as a picture ({type(error).__name__}: {error})"
        ) from error
    try:
        return preparation.transform(picture)
    except Exception as error:
        raise DataError(
            f"{name!r} could not be prepared ({type(error).__name__}: {error}); give --data as "
            "file.py:loader"
        ) from error


def stacked(pictures: Sequence[Tensor]) -> Tensor:
    """One batch. Raises DataError where the sizes differ."""
    sizes = list(dict.fromkeys(tuple(picture.shape) for picture in pictures))
    if len(sizes) > 1:
        raise DataError(
            f"pictures come out as {sizes[0]} and {sizes[1]}, which make no batch; pass "
            "--image-size, or --batch-size 1"
        )
    return torch.stack(list(pictures))


def _opened(path: str) -> Any:
    from PIL import Image

    with Image.open(path) as file:
        file.load()
        return file.copy()


def _none_there(folder: Path, within: list[str], error: Exception) -> str:
    if not within:
        return (
            f"{str(folder)!r} holds no folders of pictures, one for each class, and is no folder "
            "that datasets' save_to_disk has written"
        )
    empty = str(error).split("classes ")[-1].split(".")[0] if "classes " in str(error) else ""
    return f"{str(folder)!r} has no pictures in {empty or ', '.join(within[:4])}: {error}"
