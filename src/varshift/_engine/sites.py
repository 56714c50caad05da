"""Norm sites of a model: found by the running-stat tensors they hold, named by where those live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import torch
from torch import Tensor, nn

from varshift._engine.borrow.containers import tensors_within
from varshift._engine.borrow.hidden import hidden
from varshift._engine.borrow.walk import walk
from varshift._torch.classes import BatchNorm, InstanceNorm

__all__ = [
    "Handle",
    "Inventory",
    "Untracked",
    "norm_handles",
    "splits_of",
    "untracked",
]


class Untracked(StrEnum):
    """Why a normalisation is no norm site whose statistics can be rewritten; the value says it."""

    SCRIPTED = (
        "inside a scripted module, whose tensors lie in C++: it can be neither measured nor "
        "changed; script the model afterwards"
    )
    BATCH_ALONE = (
        "keeps no running statistics (track_running_stats=False): it uses the batch's own in both "
        "modes, so nothing stored can shift"
    )
    EACH_SAMPLE = (
        "InstanceNorm, whose running statistics are averages of each sample's own: it is measured, "
        "and never rewritten or read back"
    )
    SPLIT = (
        "keeps statistics of several parts of a batch side by side: it is measured, and never "
        "rewritten or read back"
    )


@dataclass(frozen=True, eq=False)
class Handle:
    """A module that holds running statistics, and the two tensors themselves."""

    path: str
    module: nn.Module
    running_mean: Tensor
    running_var: Tensor
    registered: bool = True

    @property
    def certain(self) -> bool:
        """Whether this is a BatchNorm by class; otherwise only a batch-norm operation can tell."""
        return isinstance(self.module, BatchNorm)


class Inventory:
    """The modules of a model as they are now, looked for once, and what they hold.

    `registered` are (path, module) of those in its tree; `modules` are these, and then those that
    the model runs and its tree does not hold.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.registered = walk(model)
        self.modules = self.registered + hidden(self.registered)
        # Those that hold their tensors in Python.
        self._open = [each for each in self.modules if not _scripted(each[1])]

    @cached_property
    def handles(self) -> dict[str, Handle]:
        """Every module with a `running_mean` and a `running_var`, by path. InstanceNorm is none.

        Those come last that are not registered; many are never reached. Nor are those inside
        scripted modules, whose tensors lie in C++: `untracked` lists them.
        """
        found: dict[str, Handle] = {}
        registered = {id(module) for _, module in self.registered}
        for path, module in self._open:
            mean, var = _held_as(module, "running_mean"), _held_as(module, "running_var")
            if not (isinstance(mean, Tensor) and isinstance(var, Tensor)):
                continue
            if not (isinstance(module, InstanceNorm) or splits_of(module)):
                found[path] = Handle(path, module, mean, var, id(module) in registered)
        return found

    @cached_property
    def untracked(self) -> dict[str, Untracked]:
        """Normalisations that look like norm sites and are none, by path, with the reason."""
        reasons: dict[str, Untracked] = {}
        for path, module in self.registered:
            if _scripted(module):
                names = {name for name, _ in module.named_buffers(recurse=False)}
                if {"running_mean", "running_var"} <= names:
                    reasons[path] = Untracked.SCRIPTED
            elif isinstance(module, BatchNorm) and module.running_mean is None:
                reasons[path] = Untracked.BATCH_ALONE
            elif isinstance(module, InstanceNorm) and module.running_mean is not None:
                reasons[path] = Untracked.EACH_SAMPLE
            elif splits_of(module):
                reasons[path] = Untracked.SPLIT
        return reasons

    @cached_property
    def owners(self) -> dict[int, tuple[str, nn.Module]]:
        """Where each tensor that could be a running mean lives: id → (site path, owner).

        The site's path is the owner's own for a tensor called `running_mean`, else the owner's path
        and the tensor's name, as for statistics handed to `F.batch_norm` from other buffers, or
        from a list: `stats.0`.
        """
        found: dict[int, tuple[str, nn.Module]] = {}
        for path, module in self._open:
            if splits_of(module):
                continue  # met as a module: what it hands to the operation are parts of a batch
            for name, tensor in _held(module):
                site = path if name == "running_mean" else f"{path}.{name}".lstrip(".")
                found.setdefault(id(tensor), (site, module))
        return found

    def tensors(self) -> Iterator[tuple[str, nn.Module, Tensor]]:
        """All that could be statistics: name in the whole model, module, the tensor itself."""
        for path, module in self._open:
            for name, tensor in _held(module):
                yield f"{path}.{name}".lstrip("."), module, tensor


def norm_handles(model: nn.Module) -> dict[str, Handle]:
    """Every module with running statistics, by path, as `Inventory` tells."""
    return Inventory(model).handles


def untracked(model: nn.Module) -> dict[str, Untracked]:
    """Normalisations that look like norm sites and are none, by path, with the reason."""
    return Inventory(model).untracked


def splits_of(module: nn.Module) -> int:
    """Of how many parts of a batch a BatchNorm keeps statistics side by side; 0 for the usual one.

    Ghost norms take their channels times the parts for channels, and average in evaluation.
    """
    if _scripted(module):
        return 0
    mean, channels = _held_as(module, "running_mean"), getattr(module, "num_features", 0)
    if (
        not isinstance(mean, Tensor)
        or not channels
        or mean.numel() == channels
        or mean.numel() % channels
    ):
        return 0
    return int(mean.numel() // channels)


def _scripted(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule)


def _held_as(module: nn.Module, name: str) -> object:
    # Not getattr: on a module it is slow where the name is missing, which is nearly everywhere.
    return module._buffers.get(name, vars(module).get(name))


def _held(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in module._buffers.items():
        if tensor is not None:
            yield name, tensor
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield name, value
    for name, holder, key in tensors_within(module):
        yield name, holder[key]
