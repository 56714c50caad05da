"""The sentences for layers that do not fit."""

from __future__ import annotations

from collections.abc import Sequence

from varshift._loading.foreign.layers import ForeignLayer
from varshift._loading.foreign.laying.own import OwnLayer
from varshift.errors import listed

__all__ = ["Mismatch", "missing", "unclear"]

_FOLDED = (
    "Exporters fold norms into the weights before them: export again without "
    "(torch.onnx.export(…, optimize=False)), or give the checkpoint of training"
)


class Mismatch(ValueError):
    """The layers of a file do not fit those of a model; the message is a clause."""


def missing(own: OwnLayer, every: Sequence[OwnLayer], layers: Sequence[ForeignLayer]) -> str:
    name = own.path
    if own.kind == "other":
        name = ".".join(filter(None, (own.path, next(iter(own.tensors)))))
    where = f"{name!r} of the model, of a {type(own.module).__name__} {own.shape or ''}".rstrip()
    if own.kind == "other":
        return (
            f"{where}, cannot be filled from other frameworks' files: varshift lays on "
            "convolutions, linear layers, embeddings and norms; load the file in your own factory"
        )
    alike = [f"{layer.name!r} {_told(layer)}" for layer in layers if layer.kind == own.kind][:4]
    said = f"{where}, is missing in the file; of its kind there are {', '.join(alike) or 'none'}"
    norms = [sum(each.kind == "norm" for each in held) for held in (every, layers)]
    return f"{said}. {_FOLDED}" if norms[1] < norms[0] and _is_exported(layers) else said


def _is_exported(layers: Sequence[ForeignLayer]) -> bool:
    """Whether the file may be one for inference: ONNX, or one without any norm."""
    exported = any(layer.layout == "first" for layer in layers)
    return exported or not any(layer.kind == "norm" for layer in layers)


def _told(layer: ForeignLayer) -> str:
    """The shape that counts, as the file has it."""
    role = "moving_mean" if layer.kind == "norm" else "kernel"
    held = layer.arrays.get(role)
    more = "" if held is None else str(tuple(held.shape))
    return more + (" with a bias" if role == "kernel" and "bias" in layer.arrays else "")


def unclear(own: OwnLayer, layers: Sequence[ForeignLayer]) -> str:
    return (
        f"{own.path!r} of the model may be any of {listed(layer.name for layer in layers)}, which "
        "have the same kind and shape, and the order of the state_dict does not tell which; call "
        "the module as the file calls its layer (names are taken first), or define the model's "
        "layers in the file's order"
    )
