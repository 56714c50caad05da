"""The constants of an ONNX graph, those in files beside it in its folder included."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from varshift._loading.foreign.layers import Array

__all__ = ["Constants", "attributes"]

_STEPS = 64  # of identities, casts and transposes on the way to a constant


class Constants:
    """What a graph holds by name; no operation is run but those that move or rename values."""

    def __init__(self, graph: Any, folder: Path) -> None:
        self._folder = folder
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._made = {name: node for node in graph.node for name in node.output if name}
        self.used: set[str] = set()

    def names(self) -> tuple[str, ...]:
        """Of all initialisers."""
        return tuple(self._tensors)

    def origin(self, name: str) -> str:
        """The initialiser that `name` is a view of; "" where it is none."""
        for _ in range(_STEPS):
            if name in self._tensors:
                return name
            node = self._made.get(name)
            if node is None or node.op_type not in ("Identity", "Cast", "Transpose", "Reshape"):
                return ""
            name = node.input[0]
        return ""

    def array(self, name: str) -> Array | None:
        """The numbers of that name; None where they are computed from the input."""
        moves: list[Any] = []
        for _ in range(_STEPS):
            if name in self._tensors:
                self.used.add(name)
                return self._moved(self._read(self._tensors[name]), moves)
            node = self._made.get(name)
            if node is None:
                return None
            if node.op_type == "Constant":
                value = attributes(node).get("value")
                return None if value is None else self._moved(self._read(value), moves)
            if node.op_type not in ("Identity", "Cast", "Transpose", "Reshape"):
                return None
            moves.append(node)
            name = node.input[0]
        return None

    def _moved(self, found: Array, moves: list[Any]) -> Array | None:
        for node in reversed(moves):
            if node.op_type == "Transpose":
                found = np.transpose(found, attributes(node).get("perm"))
            elif node.op_type == "Reshape":
                shape = self.array(node.input[1])
                if shape is None or (shape == 0).any():
                    return None
                found = found.reshape(shape.tolist())
        return found

    def _read(self, tensor: Any) -> Array:
        if any(size < 0 for size in tensor.dims):
            raise ValueError(f"{tensor.name!r} has a negative size")
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            return self._external(tensor)
        return np.asarray(numpy_helper.to_array(tensor))

    def _external(self, tensor: Any) -> Array:
        told: Mapping[str, str] = {entry.key: entry.value for entry in tensor.external_data}
        place = Path(told.get("location", ""))
        folder = self._folder.resolve()
        path = (folder / place).resolve()
        if place.is_absolute() or not path.is_relative_to(folder):
            raise ValueError(
                f"{tensor.name!r} lies at {str(place)!r}, outside the folder of the file: refused"
            )
        if not path.is_file():
            raise ValueError(f"{tensor.name!r} lies in {str(place)!r}, which is not there")
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        offset, size = int(told.get("offset", 0)), math.prod(tensor.dims) * dtype.itemsize
        if int(told.get("length", size)) != size:
            raise ValueError(f"{tensor.name!r} has another length than its shape")
        if offset < 0 or offset + size > path.stat().st_size:
            raise ValueError(f"{tensor.name!r} lies beyond the end of {str(place)!r}")
        with path.open("rb") as file:
            file.seek(offset)
            held = file.read(size)
        return (
            np.frombuffer(held, dtype.newbyteorder("<")).astype(dtype).reshape(tuple(tensor.dims))
        )


def attributes(node: Any) -> dict[str, Any]:
    """By name."""
    return {held.name: onnx.helper.get_attribute_value(held) for held in node.attribute}
