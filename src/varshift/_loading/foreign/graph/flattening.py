"""Whether an ONNX graph flattens maps with channels last, as those of Keras' models do."""

from __future__ import annotations

from typing import Any

from varshift._loading.foreign.graph.constants import Constants, attributes
from varshift._loading.foreign.graph.nodes import Nodes

__all__ = ["flattened"]

_PASSING = {
    *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Clip", "HardSwish", "Gelu"),
    *("Dropout", "Identity", "Cast", "BatchNormalization", "Softplus", "Erf"),
}
_ON_MAPS = {"MaxPool", "AveragePool", "Pad", "Resize", "Upsample"}
_FLATTENING = {"Flatten", "Reshape"}


def flattened(node: Any, constants: Constants, nodes: Nodes) -> int | None:
    """Channels of the channels-last maps flattened into its input; 0 if none, None if not told."""
    at = _before(node, constants, nodes, _PASSING)
    if at is None or at.op_type in {"Conv", "ConvTranspose", *_ON_MAPS, "Gemm", "MatMul"}:
        return 0
    if at.op_type.startswith("Global") or at.op_type.startswith("Reduce"):
        return 0
    if at.op_type not in _FLATTENING:
        return None
    at = _before(at, constants, nodes, _PASSING | _ON_MAPS)
    if at is None or at.op_type in {"Conv", "ConvTranspose", "Gemm", "MatMul"}:
        return 0
    if at.op_type.startswith("Global"):
        return 0
    if at.op_type != "Transpose":
        return None
    turned = list(attributes(at).get("perm", ()))
    if len(turned) < 3 or turned != [0, *range(2, len(turned)), 1]:
        return None
    at = _before(at, constants, nodes, (_PASSING - {"BatchNormalization"}) | _ON_MAPS)
    if at is None or at.op_type not in {"Conv", "BatchNormalization"}:
        return None
    held = constants.array(at.input[1])
    return None if held is None else len(held)


def _before(node: Any, constants: Constants, nodes: Nodes, passing: set[str]) -> Any:
    """The first operation before it that is not passed through; None at the graph's input."""
    seen = 0
    at = nodes.making.get(node.input[0])
    while at is not None and seen < len(nodes.making):
        name = at.input[0] if at.op_type in passing else _other_than_constant(at, constants)
        if not name:
            break
        at = nodes.making.get(name)
        seen += 1
    return at


def _other_than_constant(at: Any, constants: Constants) -> str:
    """What a constant is added to or multiplied with: a norm that was folded looks like that."""
    if at.op_type not in {"Add", "Mul", "Sub", "Div"}:
        return ""
    names = [str(name) for name in at.input if constants.array(name) is None]
    return names[0] if len(names) == 1 else ""
