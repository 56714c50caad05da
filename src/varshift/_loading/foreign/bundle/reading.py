"""A TensorFlow bundle as layers: by TensorFlow 2's object graph, 1's `.meta`, or names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from varshift._loading.foreign.bundle.metagraph import MetaGraph, metagraph, value_of
from varshift._loading.foreign.bundle.objects import KEY, variables
from varshift._loading.foreign.bundle.tensors import Bundle, opened
from varshift._loading.foreign.layers import Array, ForeignFile, ForeignLayer
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
    graph = metagraph(prefix)
    made = [name for name in graph.variables if name in bundle.entries]
    rest = sorted(bundle.entries.keys() - set(made), key=natural)
    found = _file(bundle, by_layer([*made, *rest])[0], "network" if made else "names")
    return replace(found, layers=tuple(_with_graph(layer, graph) for layer in found.layers))


def _with_graph(layer: ForeignLayer, graph: MetaGraph) -> ForeignLayer:
    if layer.kind != "norm":
        return layer
    eps, momentum = value_of(graph.eps, layer.name), value_of(graph.momentum, layer.name)
    return replace(layer, eps=eps, momentum=momentum)


def _of_objects(bundle: Bundle) -> dict[str, dict[str, str]]:
    """Role to key for each layer, in the order of the objects."""
    names: dict[object, tuple[str, str]] = {}
    found: dict[object, dict[str, str]] = {}
    for variable in variables(bundle.text(KEY)):
        role = role_of(variable.role or variable.name)
        if role is None or variable.key not in bundle.entries:
            continue
        name = variable.name.rpartition("/")[0]
        layer = variable.owner if variable.role else name
        names.setdefault(layer, (name, variable.path))
        found.setdefault(layer, {})[role] = variable.key
    # Layers of a class of the user's may be called alike: then the way to each tells them apart.
    called = Counter(name for name, _ in names.values())
    return {
        name if called[name] == 1 else path: found[layer] for layer, (name, path) in names.items()
    }


def _kind(name: str, arrays: Mapping[str, Array]) -> str:
    """Of convolutions only the name may tell more than the shapes do."""
    kind, word = kind_of(arrays), name.rpartition("/")[2].lower()
    if kind == "convolution":
        return "transposed" if "transpose" in word or "deconv" in word else kind
    return kind


def _file(bundle: Bundle, layers: Mapping[str, Mapping[str, str]], ordered: str) -> ForeignFile:
    found: list[ForeignLayer] = []
    read: set[str] = set()
    for name, roles in layers.items():
        kept = {role: key for role, key in roles.items() if bundle.entries[key].is_numeric}
        arrays = {role: bundle.read(key) for role, key in kept.items()}
        read |= set(kept.values())
        if arrays:
            found.extend(split(ForeignLayer(name, _kind(name, arrays), arrays)))
    others = (key.removesuffix(_SUFFIX) for key in bundle.entries if key not in read | {KEY})
    return ForeignFile("TensorFlow", tuple(found), ordered, tuple(others))
