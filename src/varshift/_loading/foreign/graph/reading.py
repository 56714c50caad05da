"""An ONNX file as layers: operations with constants, in the graph's order. Nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from varshift._loading.foreign.graph.constants import Constants, attributes
from varshift._loading.foreign.graph.flattening import flattened
from varshift._loading.foreign.graph.nodes import Nodes
from varshift._loading.foreign.layers import Array, ForeignFile, ForeignLayer

__all__ = ["read_onnx"]

_ENDS = {
    *("weight", "bias", "running_mean", "running_var", "kernel", "gamma", "beta", "scale", "B"),
    *("moving_mean", "moving_variance", "W", "mean", "var"),
}
_INSIDE = {"If", "Loop", "Scan"}


def read_onnx(path: Path) -> ForeignFile:
    """The layers of an ONNX file."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # of protobuf, which has no public name for it
        raise ValueError(f"it is no ONNX file ({type(error).__name__})") from error
    constants, nodes = Constants(model.graph, path.parent), Nodes(model.graph)
    layers = []
    for node in model.graph.node:
        make = _MAKERS.get(node.op_type)
        layer = make(node, constants, nodes) if make and node.domain in ("", "ai.onnx") else None
        if layer is not None:
            layers.append(layer)
    others = tuple(name for name in constants.names() if name not in constants.used)
    notes = []
    if inner := sorted({n.op_type for n in model.graph.node if n.op_type in _INSIDE}):
        notes.append(f"what lies inside {' and '.join(inner)} of the graph was not looked at")
    return ForeignFile("ONNX", tuple(layers), "network", others, tuple(notes))


def _conv(node: Any, constants: Constants, nodes: Nodes) -> ForeignLayer | None:
    kernel = constants.array(node.input[1])
    if kernel is None:
        return None
    kind = "conv" if node.op_type == "Conv" else "transposed"
    out = kernel.shape[0]
    if kind == "transposed":
        out = kernel.shape[1] * attributes(node).get("group", 1)
    arrays = {"kernel": kernel, **_bias(node, constants, nodes, (out, *kernel.shape[1:]))}
    return ForeignLayer(_name(node, constants), kind, arrays, "first", flattened=0)


def _gemm(node: Any, constants: Constants, nodes: Nodes) -> ForeignLayer | None:
    kernel, told = constants.array(node.input[1]), attributes(node)
    if kernel is None or told.get("transA"):
        return None
    kernel = kernel if told.get("transB") else kernel.T
    arrays: dict[str, Array] = {"kernel": kernel * np.asarray(told.get("alpha", 1.0), kernel.dtype)}
    for role, bias in _bias(node, constants, nodes, kernel.shape).items():
        arrays[role] = bias * np.asarray(told.get("beta", 1.0), bias.dtype)
    return _dense(node, arrays, constants, nodes)


def _matmul(node: Any, constants: Constants, nodes: Nodes) -> ForeignLayer | None:
    kernel = constants.array(node.input[1])
    if kernel is None or kernel.ndim != 2:
        return None
    arrays = {"kernel": kernel.T, **_bias(node, constants, nodes, kernel.T.shape)}
    return _dense(node, arrays, constants, nodes)


def _dense(
    node: Any, arrays: Mapping[str, Array], constants: Constants, nodes: Nodes
) -> ForeignLayer:
    channels = flattened(node, constants, nodes)
    name = _name(node, constants, nodes)
    return ForeignLayer(name, "dense", arrays, "first", flattened=channels)


def _norm(node: Any, constants: Constants, nodes: Nodes) -> ForeignLayer | None:
    held = [constants.array(name) for name in node.input[1:5]]
    arrays = {
        role: array
        for role, array in zip(
            ("gamma", "beta", "moving_mean", "moving_variance"), held, strict=False
        )
        if array is not None
    }
    if len(arrays) < 4:
        return None
    told = attributes(node)
    momentum = told.get("momentum")
    return ForeignLayer(
        _name(node, constants),
        "norm",
        arrays,
        "first",
        eps=_decimal(told.get("epsilon", 1e-5)),  # the default of the specification
        momentum=None if momentum is None else _decimal(1 - _decimal(momentum)),
        flattened=flattened(node, constants, nodes),
    )


def _layernorm(node: Any, constants: Constants, nodes: Nodes) -> ForeignLayer | None:
    roles = dict(zip(("gamma", "beta"), map(constants.array, node.input[1:3]), strict=False))
    arrays = {role: array for role, array in roles.items() if array is not None}
    eps = _decimal(attributes(node).get("epsilon", 1e-5))
    return ForeignLayer(_name(node, constants), "layernorm", arrays, "first", eps=eps)


def _prelu(node: Any, constants: Constants, nodes: Nodes) -> ForeignLayer | None:
    slope = constants.array(node.input[1])
    return (
        None
        if slope is None
        else ForeignLayer(_name(node, constants), "other", {"alpha": slope}, "first")
    )


def _gather(node: Any, constants: Constants, nodes: Nodes) -> ForeignLayer | None:
    if not constants.origin(node.input[0]):
        return None
    held = constants.array(node.input[0])
    if held is None or held.ndim != 2 or held.dtype.kind != "f":
        return None
    return ForeignLayer(_name(node, constants, at=0), "embedding", {"embeddings": held}, "first")


_MAKERS: dict[str, Callable[[Any, Constants, Nodes], ForeignLayer | None]] = {
    **{"Conv": _conv, "ConvTranspose": _conv, "Gemm": _gemm, "MatMul": _matmul},
    **{"BatchNormalization": _norm, "LayerNormalization": _layernorm, "PRelu": _prelu},
    "Gather": _gather,
}


def _bias(
    node: Any, constants: Constants, nodes: Nodes, shape: tuple[int, ...]
) -> dict[str, Array]:
    """Its own; else what the one operation behind it adds, a constant for each channel."""
    if len(node.input) > 2 and node.input[2]:
        own = constants.array(node.input[2])
        return {} if own is None else {"bias": own}
    added = nodes.added(node)
    held = constants.array(added) if added else None
    if held is None:
        return {}
    place = held.ndim - 1 - (len(shape) - 2)  # channels stand before the places of maps
    of_channels = place >= 0 and held.shape[place] == held.size == shape[0]
    return {"bias": held.reshape(-1)} if of_channels else {}


def _name(node: Any, constants: Constants, nodes: Nodes | None = None, at: int = 1) -> str:
    """Of the layer whose weights it takes, where these are named so; else of the operation."""
    held = [*node.input[at:], *([nodes.added(node)] if nodes else [])]
    for origin in filter(None, map(constants.origin, filter(None, held))):
        parts = origin.split(":")[0].replace(".", "/").rpartition("/")
        if parts[0] and parts[2] in _ENDS:
            return parts[0]
    return str(node.name or constants.origin(node.input[at]) or node.output[0])


def _decimal(held: float) -> float:
    """ONNX keeps float32: 1e-5 is to be 1e-5 again."""
    return float(f"{held:.6g}")
