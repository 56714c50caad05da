"""The object graph that TensorFlow 2 writes into a bundle: whose variable each tensor is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from varshift._loading.foreign.bundle.wire import fields, number

__all__ = ["KEY", "BundleVariable", "variables"]

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
# Lists of variables that stand at their layers too, and what belongs to no layer.
_SKIPPED = {
    *("optimizer", "_optimizer", "keras_api", "signatures", "save_counter", "_all_variables"),
    *("trainable_variables", "non_trainable_variables", "_trainable_variables"),
    *("_non_trainable_variables", "regularization_losses", "keras_metadata"),
}


@dataclass(frozen=True)
class BundleVariable:
    """One variable of a layer.

    Attributes:
        name: as the variable is called, "conv2d/kernel"; else the way to it from the root.
        role: its name in the object that holds it; "" where that is a list.
        owner: number of the object that holds it.
        path: the way to that object.
        key: under which the bundle has its tensor.
    """

    name: str
    role: str
    owner: int
    path: str
    key: str


@dataclass(frozen=True)
class _Node:
    children: tuple[tuple[str, int], ...]
    attributes: tuple[tuple[str, str], ...]  # full name and key


def variables(graph: bytes) -> Iterator[BundleVariable]:
    """Depth first, in the order in which objects hold their parts, which is the layers'."""
    nodes = [_node(value) for _, value in fields(graph) if isinstance(value, bytes)]
    seen: set[int] = set()
    waiting: list[tuple[int, int, str, str]] = [(0, 0, "", "")]
    while waiting:
        at, owner, local, path = waiting.pop()
        if at in seen or at >= len(nodes):
            continue
        seen.add(at)
        for full, key in nodes[at].attributes:
            role = "" if local.isdigit() else local
            yield BundleVariable(full if "/" in full else path, role, owner, _folder(path), key)
        for name, child in reversed(nodes[at].children):
            if name not in _SKIPPED:
                waiting.append((child, at, name, f"{path}/{name}".lstrip("/")))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _node(value: bytes) -> _Node:
    children, attributes = [], []
    for key, held in fields(value):
        if not isinstance(held, bytes):
            continue
        parts = dict(fields(held))
        if key == 1:
            children.append((_text(parts, 2), number(parts.get(1, 0))))
        elif key == 2:
            attributes.append((_text(parts, 2), _text(parts, 3)))
    return _Node(tuple(children), tuple(attributes))


def _text(parts: Mapping[int, int | bytes], key: int) -> str:
    held = parts.get(key, b"")
    return held.decode("utf-8", "replace") if isinstance(held, bytes) else str(held)
