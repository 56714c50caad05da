"""Which framework wrote a file: by suffix, first bytes and what lies beside it."""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from varshift._files import unreadable
from varshift.errors import CheckpointError, listed

__all__ = ["SUFFIXES", "ForeignSource", "source_of", "unread"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_DATA = re.compile(r"(.*)\.data-\d{5}-of-\d{5}")
SUFFIXES = (".h5", ".hdf5", ".keras", ".onnx", ".index", ".pb", ".tflite", ".msgpack")
_CHECKPOINT = "give the checkpoint of training instead (.h5, .keras, or the .index of TensorFlow)"
# What people have in hand, and is not read: each with what to do.
_UNREAD = {
    ".pb": "is a graph of TensorFlow, whose variables lie beside it: give the folder of the "
    "SavedModel, or the .index of the checkpoint; a frozen graph has folded its norms",
    ".meta": "is a graph of TensorFlow: give the .index that lies beside it",
    ".tflite": f"is made for inference, with its norms folded into the weights: {_CHECKPOINT}",
    ".msgpack": "is of Flax, which varshift does not read: make a state_dict of its arrays in "
    "your own factory, or save that with torch.save",
    ".npz": "is a set of arrays that does not say whose they are: make a state_dict of them, and "
    "save that with torch.save",
    ".npy": "is one array; a checkpoint holds all weights by name",
    ".gguf": "is made for inference and quantised, and varshift does not read it",
    ".mlmodel": f"is made for inference, with its norms folded into the weights: {_CHECKPOINT}",
}
_VARIABLES = "variables/variables"  # of a SavedModel


@dataclass(frozen=True)
class ForeignSource:
    """Where to read.

    Attributes:
        form: "archive", "hdf5", "onnx" or "bundle".
        place: the file; of a bundle, what its files' names begin with.
    """

    form: str
    place: str


def source_of(path: str | Path) -> ForeignSource | None:
    """The source that `path` names; None where it is no file of another framework.

    A bundle is named by what its files' names begin with, by one of them or by its folder.

    Raises:
        CheckpointError: a folder with several bundles, or a file that may not be read.
    """
    place = Path(path)
    # Not by `Path.is_file`, which raises for a name longer than names may be.
    if os.path.isdir(place):
        return _in_folder(place)
    if not os.path.isfile(place):
        there = os.path.isfile(f"{path}.index")
        return ForeignSource("bundle", str(path)) if there else None
    if place.name.endswith(".index"):
        return ForeignSource("bundle", str(place)[: -len(".index")])
    if beginning := _DATA.fullmatch(str(place)):
        return ForeignSource("bundle", beginning[1])
    if place.suffix == ".onnx":
        return ForeignSource("onnx", str(place))
    if said := unreadable(place):
        raise CheckpointError(said)
    with place.open("rb") as file:
        begins = file.read(len(_HDF5))
    if begins == _HDF5 or place.suffix in (".h5", ".hdf5"):
        return ForeignSource("hdf5", str(place))
    if place.suffix == ".keras" or _is_archive(place, begins):
        return ForeignSource("archive", str(place))
    return None


def _in_folder(folder: Path) -> ForeignSource | None:
    if (folder / f"{_VARIABLES}.index").is_file():
        return ForeignSource("bundle", str(folder / _VARIABLES))
    found = sorted(folder.glob("*.index"))
    if not found:
        return None
    if len(found) > 1:
        raise CheckpointError(
            f"{str(folder)!r} holds several checkpoints ({listed(each.name for each in found)}); "
            "name one of these files"
        )
    return ForeignSource("bundle", str(found[0])[: -len(".index")])


def _is_archive(path: Path, begins: bytes) -> bool:
    if not begins.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return {"config.json", "model.weights.h5"} <= set(archive.namelist())
    except zipfile.BadZipFile:
        return False


def unread(path: Path) -> str:
    """What a file is that varshift does not read, and what to do; "" for others."""
    if path.name == "checkpoint" and path.stat().st_size < 1 << 20:
        begins = path.read_bytes()[:64]
        if begins.startswith(b"model_checkpoint_path"):
            return "only names TensorFlow's checkpoints: give the .index of the one you mean"
    return _UNREAD.get(path.suffix.lower(), "")
