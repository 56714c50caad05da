"""Which framework wrote a file, and where its parts lie: by suffix, first bytes and what is beside."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from varshift.errors import CheckpointError, listed

__all__ = ["Source", "source_of"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_DATA = re.compile(r"(.*)\.data-\d{5}-of-\d{5}")
_VARIABLES = "variables/variables"  # of a SavedModel


@dataclass(frozen=True)
class Source:
    """Where to read.

    Attributes:
        form: "archive", "hdf5", "onnx" or "bundle".
        place: the file; of a bundle, what its files' names begin with.
    """

    form: str
    place: str


def source_of(path: str | Path) -> Source | None:
    """The source that `path` names; None where it is no file of another framework.

    A bundle is named by what its files' names begin with, by one of them or by its folder.

    Raises:
        CheckpointError: a folder with several bundles.
    """
    place = Path(path)
    if place.is_dir():
        return _in_folder(place)
    if not place.is_file():
        there = Path(f"{path}.index").is_file()
        return Source("bundle", str(path)) if there else None
    if place.name.endswith(".index"):
        return Source("bundle", str(place)[: -len(".index")])
    if beginning := _DATA.fullmatch(str(place)):
        return Source("bundle", beginning[1])
    if place.suffix == ".onnx":
        return Source("onnx", str(place))
    with place.open("rb") as file:
        begins = file.read(len(_HDF5))
    if begins == _HDF5 or place.suffix in (".h5", ".hdf5"):
        return Source("hdf5", str(place))
    if place.suffix == ".keras" or _is_archive(place, begins):
        return Source("archive", str(place))
    return None


def _in_folder(folder: Path) -> Source | None:
    if (folder / f"{_VARIABLES}.index").is_file():
        return Source("bundle", str(folder / _VARIABLES))
    found = sorted(folder.glob("*.index"))
    if not found:
        return None
    if len(found) > 1:
        raise CheckpointError(
            f"{str(folder)!r} holds several checkpoints ({listed(each.name for each in found)}); "
            "name one of these files"
        )
    return Source("bundle", str(found[0])[: -len(".index")])


def _is_archive(path: Path, begins: bytes) -> bool:
    if not begins.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return {"config.json", "model.weights.h5"} <= set(archive.namelist())
    except zipfile.BadZipFile:
        return False
