"""The graph that TensorFlow 1 writes beside a bundle, `.meta`: it has the order, and each eps."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from varshift._loading.foreign.bundle.wire import fields

__all__ = ["MetaGraph", "metagraph", "value_of"]

_VARIABLES = {"Variable", "VariableV2", "VarHandleOp"}
_MOST = 1 << 29
# Of tf.layers and its kin: a branch (cond) for training may stand between.
_EPS = re.compile(r"(.*?)/(?:cond\w*/)?(?:FusedBatchNorm\w*|batchnorm/add/y)")
_DECAY = re.compile(r"(.*?)/(?:cond\w*/)?AssignMovingAvg/decay")


@dataclass(frozen=True)
class MetaGraph:
    """What a graph says of its layers.

    Attributes:
        variables: their names, in the order in which they were made.
        eps: of norms, by the scope of their operations.
        momentum: in torch's sense, by the same.
    """

    variables: tuple[str, ...] = ()
    eps: Mapping[str, float] = field(default_factory=dict)
    momentum: Mapping[str, float] = field(default_factory=dict)


def metagraph(prefix: str) -> MetaGraph:
    """Of the bundle with that prefix; an empty one where none can be read."""
    path = Path(f"{prefix}.meta")
    if not path.is_file() or path.stat().st_size > _MOST:
        return MetaGraph()
    try:
        return _of_nodes(_messages(_messages([path.read_bytes()], 2), 1))
    except (ValueError, struct.error):
        return MetaGraph()


def value_of(scopes: Mapping[str, float], layer: str) -> float | None:
    """What was told under a scope that ends in the layer's name."""
    found = [scope for scope in scopes if f"/{scope}".endswith(f"/{layer}")]
    return scopes[min(found, key=len)] if found else None


def _messages(held: Iterable[bytes], key: int) -> Iterable[bytes]:
    for data in held:
        for found, value in fields(data):
            if found == key and isinstance(value, bytes):
                yield value


def _of_nodes(nodes: Iterable[bytes]) -> MetaGraph:
    variables = []
    eps: dict[str, float] = {}
    momentum: dict[str, float] = {}
    for data in nodes:
        name = operation = ""
        attributes: list[bytes] = []
        for key, value in fields(data):
            if not isinstance(value, bytes):
                continue
            if key == 1:
                name = value.decode("utf-8", "replace")
            elif key == 2:
                operation = value.decode("utf-8", "replace")
            elif key == 5:
                attributes.append(value)
        if operation in _VARIABLES:
            variables.append(name)
        elif operation.startswith("FusedBatchNorm") or operation == "Const":
            attribute = "value" if operation == "Const" else "epsilon"
            for pattern, told in ((_EPS, eps), (_DECAY, momentum)):
                if scope := pattern.fullmatch(name):
                    number = _float(attributes, attribute)
                    if number is not None:
                        told[scope[1]] = number
    return MetaGraph(tuple(variables), eps, momentum)


def _float(attributes: Iterable[bytes], name: str) -> float | None:
    """An attribute that is a number, or a tensor of one."""
    for entry in attributes:
        if _inside(entry, 1) != name.encode():
            continue
        value = _inside(entry, 2)
        tensor = _inside(value, 8)
        held = (_inside(tensor, 5) or _inside(tensor, 4)) if tensor else _inside(value, 4)
        if len(held) == 4:
            return float(f"{struct.unpack('<f', held)[0]:.6g}")
    return None


def _inside(data: bytes, key: int) -> bytes:
    """The field of that number; nothing where it is absent, or a number."""
    held = dict(fields(data)).get(key, b"")
    return held if isinstance(held, bytes) else b""
