"""A TensorFlow bundle as layers: by the object graph of TensorFlow 2, else by names."""

from __future__ import annotations

from collections.abc import Mapping

from varshift._loading.foreign.bundle.objects import KEY, variables
from varshift._loading.foreign.bundle.tensors import Bundle, opened
from varshift._loading.foreign.layers import ForeignFile, ForeignLayer
from varshift._loading.foreign.roles import by_layer, kind_of, natural, role_of, split

__all__ = ["read_bundle"]

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def read_bundle(prefix: str) -> ForeignFile:
    """The layers of the bundle at `prefix`, each tensor proved by its checksum.

    Raises:
        ValueError: no bundle, or a damaged one.
        OSError: a file that cannot be read.
    """
    bundle = opened(prefix)
    if KEY in bundle.entries:
        layers = _of_objects(bundle)
        if layers:
            return _file(bundle, layers, "network")
    names = sorted(bundle.entries, key=natural)
    return _file(bundle, by_layer(names)[0], "names")


def _of_objects(bundle: Bundle) -> dict[str, dict[str, str]]:
    """Role to key for each layer, in the order of the objects."""
    names: dict[object, str] = {}
    found: dict[object, dict[str, str]] = {}
    for variable in variables(bundle.text(KEY)):
        role = role_of(variable.role or variable.name)
        if role is None or variable.key not in bundle.entries:
            continue
        name = variable.name.rpartition("/")[0]
        layer = variable.owner if variable.role else name
        names.setdefault(layer, name)
        found.setdefault(layer, {})[role] = variable.key
    return {_unique(names, layer): roles for layer, roles in found.items()}


def _unique(names: Mapping[object, str], layer: object) -> str:
    """Its name; two objects may call their layers alike, and then the number tells them apart."""
    name = names[layer]
    alike = [each for each, other in names.items() if other == name]
    return name if len(alike) == 1 else f"{name}#{alike.index(layer)}"


def _file(bundle: Bundle, layers: Mapping[str, Mapping[str, str]], ordered: str) -> ForeignFile:
    found: list[ForeignLayer] = []
    read: set[str] = set()
    for name, roles in layers.items():
        kept = {role: key for role, key in roles.items() if bundle.entries[key].is_numeric}
        arrays = {role: bundle.read(key) for role, key in kept.items()}
        read |= set(kept.values())
        if arrays:
            found.extend(split(ForeignLayer(name, kind_of(arrays), arrays)))
    others = (key.removesuffix(_SUFFIX) for key in bundle.entries if key not in read | {KEY})
    return ForeignFile("TensorFlow", tuple(found), ordered, tuple(others))
