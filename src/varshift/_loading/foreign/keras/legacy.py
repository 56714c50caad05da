"""Keras' older form: a group for each layer, whose attributes name its weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from varshift._loading.foreign.keras.config import LayerConfig
from varshift._loading.foreign.keras.hdf5 import Hdf5
from varshift._loading.foreign.layers import ForeignLayer
from varshift._loading.foreign.roles import by_layer, kind_of

__all__ = ["legacy_layers"]


def legacy_layers(
    held: Hdf5, top: Any, known: Sequence[LayerConfig]
) -> Iterator[tuple[ForeignLayer, LayerConfig | None]]:
    """Each layer with its setting, in the order of the network."""
    found: list[tuple[ForeignLayer, LayerConfig | None]] = []
    for name in held.names(top, "layer_names"):
        group = held.group(top, name)
        if group is not None:
            found.extend(_of_group(held, group, name, known))
    if all(setting is not None for _, setting in found):
        # Of a model inside, what is trained is named first: only the config has its order.
        places = {setting.path: place for place, setting in enumerate(known)}
        found.sort(key=lambda each: places[each[1].path] if each[1] else 0)
    yield from found


def _of_group(
    held: Hdf5, group: Any, top: str, known: Sequence[LayerConfig]
) -> Iterator[tuple[ForeignLayer, LayerConfig | None]]:
    layers, _ = by_layer(held.names(group, "weight_names"))
    for name, roles in layers.items():
        arrays = {
            role: array
            for role, full in roles.items()
            if (array := held.array(group, full)) is not None
        }
        if not arrays:
            continue
        inner = name.rpartition("/")[2]
        setting = _setting(top, inner, known)
        path = setting.path if setting else (f"{top}/{inner}" if len(layers) > 1 else top)
        yield ForeignLayer(path, kind_of(arrays, _class(setting)), arrays), setting


def _setting(top: str, inner: str, known: Sequence[LayerConfig]) -> LayerConfig | None:
    """Of the layer with that name inside; of a wrapper, that of the one inside; else its own."""
    inside = [each for each in known if each.path.startswith(f"{top}/")]
    if not inside:
        return next((each for each in known if each.path == top), None)
    named = [each for each in inside if each.path.endswith(f"/{inner}")]
    found = named or (inside if len(inside) == 1 else [])
    return found[0] if found else None


def _class(setting: LayerConfig | None) -> str | None:
    return None if setting is None else setting.class_name
