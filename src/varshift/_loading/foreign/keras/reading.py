"""Keras' files as layers: `.h5` and `.hdf5` of any age, the `.keras` archive of version 3."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from varshift._loading.foreign.keras.config import LayerConfig, settings
from varshift._loading.foreign.keras.flattening import flattened
from varshift._loading.foreign.keras.hdf5 import Hdf5
from varshift._loading.foreign.keras.legacy import legacy_layers
from varshift._loading.foreign.keras.saved import saved_layers
from varshift._loading.foreign.layers import ForeignFile, ForeignLayer
from varshift._loading.foreign.roles import split

__all__ = ["read_archive", "read_hdf5"]

_WEIGHTS, _CONFIG = "model.weights.h5", "config.json"
_MOST_CONFIG = 64 << 20
_RATIO = 64


def read_hdf5(path: Path) -> ForeignFile:
    """The layers of an HDF5 file."""
    with path.open("rb") as file:
        return _of_hdf5(file, path.stat().st_size, None)


def read_archive(path: Path) -> ForeignFile:
    """The layers of a `.keras` archive: its config and its weights, nothing else is opened."""
    with zipfile.ZipFile(path) as archive:
        size = path.stat().st_size
        config = _member(archive, _CONFIG, _MOST_CONFIG)
        held = _member(archive, _WEIGHTS, _RATIO * size)
    return _of_hdf5(io.BytesIO(held), len(held), config)


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    try:
        told = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"the archive has no {name!r}, so Keras did not write it") from None
    if told.file_size > most or told.flag_bits & 1:
        raise ValueError(
            f"{name!r} of the archive would unpack to {told.file_size} bytes, which no model's "
            "does: refused"
        )
    with archive.open(told) as member:  # zipfile stops at the size that is told
        return member.read()


def _of_hdf5(file: Any, size: int, config: bytes | str | None) -> ForeignFile:
    import h5py

    with h5py.File(file, "r") as root:
        held = Hdf5(root, size)
        told = config if config is not None else held.text(root, "model_config")
        known = _settings(told)
        inside = held.group(root, "model_weights")
        if inside is not None or "layer_names" in root.attrs or "layer_names0" in root.attrs:
            top = root if inside is None else inside
            found = list(legacy_layers(held, top, known))
            ordered = "network"
        else:
            found = list(saved_layers(held, root, known))
            ordered = "network" if known else "names"
        others = [
            f"{name}/{path}"
            for name in root
            if name.startswith("optimizer")
            for path in held.walk(root[name])
        ]
    return ForeignFile("Keras", tuple(_told(found, known)), ordered, tuple(others))


def _settings(told: bytes | str | None) -> tuple[LayerConfig, ...]:
    if told is None:
        return ()
    try:
        return settings(told)
    except json.JSONDecodeError as error:
        raise ValueError(f"its config is no JSON: {error}") from error


def _told(
    found: Sequence[tuple[ForeignLayer, LayerConfig | None]], known: Sequence[LayerConfig]
) -> Iterator[ForeignLayer]:
    """The layers with what the config tells of them."""
    by_path = {setting.path: setting for setting in known}
    for layer, setting in found:
        if setting is None:
            yield from split(layer)
            continue
        told = replace(layer, flattened=flattened(setting, by_path))
        if layer.kind in ("norm", "layernorm"):
            momentum = _number(setting.config, "momentum")
            told = replace(
                told,
                eps=_number(setting.config, "epsilon"),
                momentum=None if momentum is None else round(1 - momentum, 12),
            )
        yield from split(told)


def _number(config: Mapping[str, Any], name: str) -> float | None:
    held = config.get(name)
    return float(held) if isinstance(held, (int, float)) else None
