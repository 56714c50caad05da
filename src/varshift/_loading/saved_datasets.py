"""Folders that Hugging Face's `datasets` has written by `save_to_disk`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from varshift._counting import counted, plural
from varshift._loading.batched import Batched, Shard, in_random_order
from varshift._loading.folders import prepared, stacked
from varshift._loading.preparing import Preparation
from varshift._repair.labels import LABELS
from varshift.errors import DataError, UsageError, listed

__all__ = ["from_saved", "is_saved"]


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` has written it: a set, or several parts."""
    return any(os.path.isfile(folder / name) for name in ("state.json", "dataset_dict.json"))


def from_saved(
    folder: Path,
    part: str,
    preparation: Callable[[], Preparation],
    batch_size: int,
    shard: Shard,
    labelled: bool,
    notes: list[str],
) -> Batched:
    """Batches of a set: of its pictures where it has a column of them, else of its numbers.

    Pictures and a single column of numbers come with their labels as pairs; several columns as a
    dict of tensors by name, as transformers' models take them, with labels where `labelled`.

    Raises:
        UsageError: a part that there is not, or none named where there are several.
        DataError: no column of pictures or numbers, or rows of different lengths.
    """
    rows = _part(_loaded(folder), folder, part)
    if not len(rows):
        raise DataError(f"{str(folder)!r} holds no rows")
    pictures, numbers, others = _columns(rows)
    label = next((name for name in LABELS if name in numbers), None)
    order = in_random_order(len(rows))
    if others:
        notes.append(f"columns {listed(others)} hold no pictures and no numbers: left out")
    if pictures:
        if len(pictures) > 1:
            raise DataError(
                f"{str(folder)!r} has several columns of pictures ({listed(pictures)}); keep one, "
                "or give --data as file.py:loader"
            )
        how = preparation()
        notes.append(f"{counted(len(rows), 'picture')}, in a fixed random order; {how.said}")
        return Batched(_reader(rows, pictures[0], label, how), order, batch_size, shard)
    taken = [name for name in numbers if name != label]
    if not taken:
        raise DataError(
            f"{str(folder)!r} has no column of pictures or numbers but {listed(rows.column_names)};"
            " tokenise texts and save that, or give --data as file.py:loader"
        )
    of = f"of the {plural(len(taken), 'column')} {listed(taken)}"
    notes.append(f"{counted(len(rows), 'row')}, in a fixed random order, {of}")
    single = len(taken) == 1
    names = [*taken, label] if label is not None and (labelled or single) else taken

    def read(at: Sequence[int]) -> Any:
        held = rows[list(at)]
        tensors = {name: _tensor(held[name], name, folder) for name in names}
        return tuple(tensors.values()) if single else tensors

    return Batched(read, order, batch_size, shard)


def _loaded(folder: Path) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UsageError(
            f"{str(folder)!r} is a folder of Hugging Face's datasets, which is not installed: pip "
            "install datasets"
        ) from error
    try:
        return datasets.load_from_disk(str(folder))
    except Exception as error:
        raise DataError(
            f"{str(folder)!r} cannot be read by datasets ({type(error).__name__}: {error})"
        ) from error


def _part(found: Any, folder: Path, part: str) -> Any:
    parts = list(found) if isinstance(found, dict) else []
    if not parts:
        if part:
            raise UsageError(f"{str(folder)!r} is one set, without parts; leave out {part!r}")
        return found
    if part in parts:
        return found[part]
    if not part and len(parts) == 1:
        return found[parts[0]]
    named = f"has no part {part!r}" if part else "has several parts"
    raise UsageError(f"{str(folder)!r} {named}: name one, as --data {folder}:{parts[0]} ({parts})")


def _columns(rows: Any) -> tuple[list[str], list[str], list[str]]:
    """Names of those that hold pictures, numbers (in lists, too), and anything else."""
    import datasets

    pictures, numbers, others = [], [], []
    for name, feature in rows.features.items():
        if isinstance(feature, datasets.Image):
            pictures.append(name)
        elif _numeric(feature):
            numbers.append(name)
        else:
            others.append(name)
    return pictures, numbers, others


def _numeric(feature: Any) -> bool:
    import datasets

    while not isinstance(feature, (datasets.Value, datasets.ClassLabel)):
        if type(feature).__name__.startswith("Array"):
            return True
        inner = getattr(feature, "feature", None)
        if inner is None and isinstance(feature, (list, tuple)) and len(feature) == 1:
            inner = feature[0]
        if inner is None:
            return False
        feature = inner
    return str(feature.dtype).startswith(("int", "uint", "float", "bool"))


def _reader(
    rows: Any, column: str, label: str | None, how: Preparation
) -> Callable[[Sequence[int]], Any]:
    def read(at: Sequence[int]) -> Any:
        held = [rows[each] for each in at]
        named = zip(at, held, strict=True)
        inputs = stacked(
            [prepared(partial(row.get, column), f"row {each}", how) for each, row in named]
        )
        if label is None:
            return inputs
        return inputs, torch.tensor([row[label] for row in held], device="cpu")

    return read


def _tensor(values: Any, name: str, folder: Path) -> Tensor:
    try:
        if isinstance(values, Tensor):
            return values
        first = values[0]
        return (
            torch.stack(list(values))
            if isinstance(first, Tensor)
            else torch.tensor(values, device="cpu")
        )
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            f"{str(folder)!r}: rows of the column {name!r} make no batch ({error}); pad them to "
            "one length, or give --data as file.py:loader"
        ) from error
