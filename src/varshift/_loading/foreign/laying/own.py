"""The layers of a torch model, in the order of its state_dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from varshift._torch.classes import Conv, ConvTransposed
from varshift.errors import CheckpointError

__all__ = ["COUNTER", "OwnLayer", "own_layers"]

COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class OwnLayer:
    """One module that has tensors of its own.

    Attributes:
        path: of the module in the model.
        kind: as `ForeignLayer.kind` has it, "depthwise" being a "conv" here.
        tensors: its parameters and buffers by their names, without the counter of batches.
        parameters: which of these are parameters.
        module: itself, for what it says of eps, momentum and groups.
        twins: paths at which the same module stands again.
    """

    path: str
    kind: str
    tensors: Mapping[str, Tensor]
    parameters: frozenset[str]
    module: nn.Module
    twins: tuple[str, ...] = ()

    def told(self, name: str) -> Any:
        """What the module says under that name, or None."""
        return getattr(self.module, name, None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its weights; of a norm, of its statistics."""
        held = self.tensors.get("running_mean" if self.kind == "norm" else "weight")
        return () if held is None else tuple(held.shape)


def own_layers(model: nn.Module) -> tuple[OwnLayer, ...]:
    """Each module once, where it stands first.

    Raises:
        CheckpointError: the model's state_dict names tensors that no module holds.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    held: dict[str, dict[str, Tensor]] = {}
    for key, value in model.state_dict(keep_vars=True).items():
        path, _, name = key.rpartition(".")
        if isinstance(value, Tensor) and name != COUNTER:
            held.setdefault(path, {})[name] = value
    places: dict[int, list[str]] = {}
    for path in held:
        if path not in modules:
            raise CheckpointError(
                f"the model's state_dict has tensors under {path!r}, where it has no module: its "
                "layers cannot be told, so load the file in your own factory"
            )
        places.setdefault(id(modules[path]), []).append(path)
    return tuple(_layer(modules[paths[0]], paths, held[paths[0]]) for paths in places.values())


def _layer(module: nn.Module, paths: list[str], tensors: dict[str, Tensor]) -> OwnLayer:
    parameters = frozenset(
        name for name, value in tensors.items() if isinstance(value, nn.Parameter)
    )
    return OwnLayer(paths[0], _kind(module, tensors), tensors, parameters, module, tuple(paths[1:]))


def _kind(module: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Norms are known by what they hold: frozen ones of others are of no class of torch's."""
    if any(is_lazy(value) for value in tensors.values()):
        return "other"
    if {"running_mean", "running_var"} <= tensors.keys():
        return "norm"
    for kind, classes in _CLASSES.items():
        if isinstance(module, classes):
            return kind
    return "other"


_CLASSES: Mapping[str, type[nn.Module] | tuple[type[nn.Module], ...]] = {
    "transposed": ConvTransposed,
    "conv": Conv,
    "dense": nn.Linear,
    "layernorm": (nn.LayerNorm, nn.GroupNorm),
    "embedding": nn.Embedding,
    "prelu": nn.PReLU,
}
