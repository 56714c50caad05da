"""Keras 3's form: groups named by class and count, variables by number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import h5py

from varshift._loading.foreign.keras.config import LayerConfig, snake
from varshift._loading.foreign.keras.hdf5 import Hdf5
from varshift._loading.foreign.layers import Array, ForeignLayer
from varshift._loading.foreign.roles import kind_of, natural

__all__ = ["saved_layers"]

_INSIDE = ("layers", "_layer_checkpoint_dependencies", "layer", "_functional")
_NO_LAYERS = {*_INSIDE, "vars", "optimizer", "metrics", "_compile_metrics", "_loss_tracker"}
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_CLASSES = (
    *("BatchNormalization", "LayerNormalization", "Dense", "Embedding", "PReLU"),
    *(f"{kind}{n}D" for kind in ("Conv", "DepthwiseConv", "SeparableConv") for n in (1, 2, 3)),
    *(f"Conv{n}DTranspose" for n in (1, 2, 3)),
)


def saved_layers(
    held: Hdf5, root: Any, known: Sequence[LayerConfig]
) -> Iterator[tuple[ForeignLayer, LayerConfig | None]]:
    """Each layer with its setting, in the order of the config, else of the names."""
    found = {name: group for name, group in _groups(held, root, "") if _variables(held, group)}
    by_saved = {setting.saved: setting for setting in known}
    order = [setting.saved for setting in known if setting.saved in found]
    order += sorted(found.keys() - by_saved.keys(), key=natural)
    for saved in order:
        setting = by_saved.get(saved)
        arrays = _variables(held, found[saved])
        own = held.text(found[saved]["vars"], "name") or saved
        class_name = setting.class_name if setting else _class_of(saved) or _class_of(own)
        roles = _roles(class_name, setting, len(arrays), own)
        if class_name is None:
            roles = _by_shape(arrays)
        named = dict(zip(roles, arrays, strict=True)) if roles else _numbered(arrays)
        path = setting.path if setting else own if _class_of(saved) else saved
        yield ForeignLayer(path, kind_of(named, class_name if roles else ""), named), setting


def _groups(held: Hdf5, group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Layers and, behind each, those inside; the path leaves out the folders between."""
    for folder in _INSIDE:
        inside = held.group(group, folder)
        if inside is None:
            continue
        if held.group(inside, "vars") is not None and folder == "layer":
            yield f"{path}layer", inside
        yield from _children(held, inside, path)
    # A model of a class of the user's holds its layers by their attributes' names.
    yield from _children(held, group, path)


def _children(held: Hdf5, group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name in group:
        layer = held.group(group, name)
        if layer is not None and name not in _NO_LAYERS:
            yield f"{path}{name}", layer
            yield from _groups(held, layer, f"{path}{name}/")


def _variables(held: Hdf5, group: Any) -> list[Array]:
    kept = held.group(group, "vars")
    if kept is None:
        return []
    found: list[Array] = []
    while isinstance(held.inner(kept, str(len(found))), h5py.Dataset):
        array = held.array(kept, str(len(found)))
        if array is None:
            return []  # a state of a generator, a table of words
        found.append(array)
    return found


def _class_of(saved: str) -> str | None:
    word = saved.rpartition("/")[2]
    last = word.rpartition("_")
    word = last[0] if last[2].isdigit() else word
    return next((name for name in _CLASSES if snake(name) == word), None)


def _roles(
    class_name: str | None, setting: LayerConfig | None, count: int, name: str
) -> tuple[str, ...]:
    """In the order in which Keras adds the variables; none where they are not known."""
    if class_name is None:
        return ()
    if class_name.endswith("BatchNormalization"):
        return _norm_roles(setting, count, name)
    roles: tuple[str, ...] = ()
    if class_name.startswith("Separable"):
        roles = ("depthwise_kernel", "pointwise_kernel", "bias")
    elif class_name.startswith(("Conv", "Dense")):
        roles = ("kernel", "bias")
    elif class_name.startswith("Depthwise"):
        roles = ("depthwise_kernel", "bias")
    elif class_name == "LayerNormalization":
        roles = _present(setting, ("gamma", "beta"))
    elif class_name in ("Embedding", "PReLU"):
        roles = ("embeddings",) if class_name == "Embedding" else ("alpha",)
    least = len(roles) - ("bias" in roles)
    return roles[:count] if least <= count <= len(roles) else ()


def _by_shape(arrays: Sequence[Array]) -> tuple[str, ...]:
    """Of a layer of no known class: what only one kind of layer has."""
    shapes = [array.shape for array in arrays]
    if len(shapes) == 4 and len(shapes[0]) == 1 and len(set(shapes)) == 1:
        return _NORM
    if len(shapes) == 2 and len(shapes[0]) > 1 and shapes[1] == shapes[0][-1:]:
        return ("kernel", "bias")
    return ("kernel",) if len(shapes) == 1 and len(shapes[0]) > 1 else ()


def _norm_roles(setting: LayerConfig | None, count: int, name: str) -> tuple[str, ...]:
    roles = _present(setting, _NORM)
    if setting is None and count == 3:
        raise ValueError(
            f"the norm {name!r} has three variables, and without the config it cannot be told "
            "whether gamma or beta is the one it lacks; save the whole model as .keras"
        )
    if setting is None and count == 2:
        roles = _NORM[2:]
    return roles if len(roles) == count else ()


def _present(setting: LayerConfig | None, roles: tuple[str, ...]) -> tuple[str, ...]:
    """Those that the layer was made with."""
    config = {} if setting is None else setting.config
    off = {"gamma": config.get("scale") is False, "beta": config.get("center") is False}
    return tuple(role for role in roles if not off.get(role))


def _numbered(arrays: Sequence[Array]) -> dict[str, Array]:
    return {str(place): array for place, array in enumerate(arrays)}
