"""One way to read them all."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from varshift._loading.foreign.formats import ForeignSource, source_of
from varshift._loading.foreign.layers import ForeignFile
from varshift.errors import CheckpointError, MissingExtraError

__all__ = ["read_foreign"]

_NAMES = {"archive": "Keras", "hdf5": "Keras", "onnx": "ONNX", "bundle": "TensorFlow"}
_NEEDED = {"archive": "h5py", "hdf5": "h5py", "onnx": "onnx"}


def read_foreign(path: str | Path) -> ForeignFile:
    """The layers with weights that a file of Keras, TensorFlow or ONNX holds.

    Args:
        path: a `.h5`, `.hdf5`, `.keras` or `.onnx` file; a TensorFlow checkpoint by its prefix,
            its `.index`, a data file or its folder; the folder of a SavedModel.

    Returns:
        The layers in the order of the network where the file tells it, their arrays by role.

    Raises:
        CheckpointError: no such file, none of these frameworks', damaged, or of an absurd size.
        MissingExtraError: h5py or onnx is not installed.
    """
    source = source_of(path)
    if source is None:
        raise CheckpointError(f"{str(path)!r} is no file of Keras, TensorFlow or ONNX")
    package = _NEEDED.get(source.form)
    if package is not None and find_spec(package) is None:
        raise MissingExtraError(package, "foreign", f"a checkpoint of {_NAMES[source.form]}")
    try:
        found = _read(source)
    except CheckpointError:
        raise
    except Exception as error:  # of h5py, protobuf, zipfile, json: each has its own
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{str(path)!r} cannot be read as a file of {_NAMES[source.form]}: {said}"
        ) from error
    if not found.layers:
        raise CheckpointError(
            f"{str(path)!r} holds no layer with weights that varshift knows; "
            f"its format is {found.format}'s"
        )
    return found


def _read(source: ForeignSource) -> ForeignFile:
    place = Path(source.place)
    if source.form == "bundle":
        from varshift._loading.foreign.bundle.reading import read_bundle

        return read_bundle(source.place)
    if source.form == "onnx":
        from varshift._loading.foreign.graph.reading import read_onnx

        return read_onnx(place)
    from varshift._loading.foreign.keras.reading import read_archive, read_hdf5

    return read_archive(place) if source.form == "archive" else read_hdf5(place)
