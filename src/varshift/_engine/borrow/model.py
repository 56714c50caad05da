"""A model is borrowed: whatever a verb touches comes back as it was, above all on an error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.borrow.containers import Containers, is_container
from varshift._engine.borrow.rng import rng_state, set_rng_state
from varshift._engine.borrow.tensors import KeptTensor
from varshift._engine.borrow.walk import walk
from varshift.errors import ModelError, UsageError

__all__ = ["Buffers", "borrowed", "set_training", "training_flags", "unwrapped"]

_PLAIN = (bool, int, float, complex, str, type(None))
_WRAPPERS = ("DataParallel", "DistributedDataParallel")


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's own module inside `torch.compile`, DDP and DataParallel wrappers."""
    if not isinstance(model, nn.Module):
        raise UsageError(f"model is a {type(model).__name__}; pass a torch.nn.Module")
    while True:
        if isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        elif type(model).__name__ in _WRAPPERS and isinstance(model.module, nn.Module):
            model = model.module
        else:
            return model


@contextmanager
def borrowed(model: nn.Module) -> Iterator[nn.Module]:
    """Lend the unwrapped model: eager, without gradients, and restored whatever happens.

    Restored are the training flag of every module, plain attributes (momentum, counters), buffers
    and tensor attributes (same object, same storage, same bits), lists, dicts, sets and deques in
    attributes with what they hold (not what is inside one of more than 1,000 items),
    `requires_grad` of every parameter, and every random generator. Not arrays of numpy.
    """
    inner = unwrapped(model)
    _refuse_unready(inner)
    random = rng_state()
    seen: set[int] = set()  # ids of containers: one that two modules hold is kept once
    lent = [_Lent.of(module, seen) for module in _modules(inner)]
    root_flag = inner.training
    with ExitStack() as stack:
        stack.callback(set_rng_state, random)
        stack.callback(_give_back, inner, root_flag, lent)
        stack.enter_context(_eager())
        # A caller's inference mode would hide every operation from the modes that follow the data.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        yield inner


class Buffers:
    """All that a pass may write to, as it is now; `restore()` puts the contents back.

    That is buffers and whatever else serves as one: tensors in attributes, lists and dicts.
    """

    def __init__(self, model: nn.Module) -> None:
        self._held: list[_Tensor | Containers] = []
        seen: set[int] = set()
        for module in _modules(model):
            if not isinstance(module, torch.jit.ScriptModule):
                own = module.__dict__
                self._held += _tensors(own["_buffers"])
                self._held += _tensors(_attributes(own), own)
                self._held.append(Containers(own, seen, tensors_only=True))

    def restore(self) -> None:
        """Undo what a pass wrote."""
        # By the bits: batch norm updates its statistics without touching their version counter.
        for held in self._held:
            held.restore()


def training_flags(model: nn.Module) -> list[tuple[nn.Module, bool]]:
    """The training flag of every module, as `set_training` takes it."""
    return [(module, module.training) for module in _modules(model)]


def set_training(flags: list[tuple[nn.Module, bool]]) -> None:
    """Set each module's own flag: no call of `train()`, so nothing else happens."""
    for module, flag in flags:
        if module.training != flag:
            module.training = flag


def _modules(model: nn.Module) -> list[nn.Module]:
    return [module for _, module in walk(model)]


def _refuse_unready(model: nn.Module) -> None:
    for path, module in walk(model):
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is None:
                continue
            full = f"{path}.{name}".lstrip(".")
            if nn.parameter.is_lazy(tensor):
                raise ModelError(
                    f"{full!r} is not initialised yet; run one batch through the model"
                )
            if tensor.is_meta:
                raise ModelError(f"{full!r} is on the meta device; load its weights first")
            if tensor.is_inference() and (name in module._parameters or "running" in name):
                raise ModelError(
                    f"{full!r} was created under torch.inference_mode(), so nothing can be "
                    "written to it; make or load the model outside of it"
                )


@contextmanager
def _eager() -> Iterator[None]:
    """Compiled parts run as plain Python, so that hooks and modes see inside them."""
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is None:  # nothing can have been compiled; do not pay for the import
        yield
    elif hasattr(torch.compiler, "set_stance"):
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        with dynamo.config.patch(disable=True):
            yield


def _give_back(model: nn.Module, root_flag: bool, lent: list[_Lent]) -> None:
    # A class with its own train() may do more than set flags (merge adapters, refreeze); let it
    # undo that first, then set every flag exactly.
    if any(type(state.module).train is not nn.Module.train for state in lent):
        model.train(root_flag)
    with torch.no_grad():
        for state in lent:
            state.restore()


@dataclass
class _Tensor:
    """One tensor that a module holds: the object, its storage, its bits."""

    holder: dict[str, Any]
    name: str
    kept: KeptTensor

    @classmethod
    def of(cls, holder: dict[str, Any], name: str, tensor: Tensor) -> _Tensor:
        return cls(holder, name, KeptTensor(tensor))

    def restore(self) -> None:
        if self.holder.get(self.name) is not self.kept.tensor:
            self.holder[self.name] = self.kept.tensor
        self.kept.restore()


@dataclass
class _Lent:
    """State of one module, children excluded."""

    module: nn.Module
    training: bool
    plain: dict[str, Any]
    buffers: list[_Tensor]
    attributes: list[_Tensor]
    containers: Containers | None
    known: frozenset[str]
    asking: list[tuple[nn.Parameter, bool]]

    @classmethod
    def of(cls, module: nn.Module, seen: set[int]) -> _Lent:
        own = module.__dict__
        asking = [(p, p.requires_grad) for p in module.parameters(recurse=False)]
        # Sharded wrappers keep lazily built state in plain attributes; taking half of it back
        # would break them.
        foreign = type(module).__module__.startswith("torch.distributed")
        if foreign or isinstance(module, torch.jit.ScriptModule):
            held = dict(module.named_buffers(recurse=False))
            return cls(module, module.training, {}, _tensors(held), [], None, frozenset(), asking)
        plain = {name: value for name, value in own.items() if type(value) in _PLAIN}
        training = plain.pop("training", module.training)
        return cls(
            module=module,
            training=training,
            plain=plain,
            buffers=_tensors(own["_buffers"]),
            attributes=_tensors(_attributes(own), own),
            containers=Containers(own, seen),
            known=frozenset(own),
            asking=asking,
        )

    def restore(self) -> None:
        if self.module.training != self.training:
            self.module.training = self.training
        own = self.module.__dict__
        if self.known:
            for name in [k for k, v in own.items() if k not in self.known and _added(v)]:
                del own[name]
        for name, value in self.plain.items():
            if own.get(name, self) is not value:
                own[name] = value
        for tensor in self.buffers:
            tensor.restore()
        for tensor in self.attributes:
            tensor.restore()
        if self.containers is not None:
            self.containers.restore()
        for parameter, asked in self.asking:
            if parameter.requires_grad != asked:
                parameter.requires_grad_(asked)


def _tensors(held: dict[str, Any], holder: dict[str, Any] | None = None) -> list[_Tensor]:
    place = held if holder is None else holder
    return [_Tensor.of(place, name, value) for name, value in held.items() if value is not None]


def _attributes(own: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in own.items() if isinstance(value, Tensor)}


def _added(value: Any) -> bool:
    return isinstance(value, (*_PLAIN, Tensor)) or is_container(value)
