"""The classifier: the last module with weights that runs after the last norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from varshift._engine import Forward, Operation, Regime, Tracer, session, tensors_of, walk
from varshift._engine.trace.noises import named
from varshift._torch.classes import Conv
from varshift.errors import UsageError

__all__ = ["Head", "find_head"]

_TABLES = (nn.Embedding, nn.EmbeddingBag)


@dataclass(frozen=True, eq=False)
class Head:
    """A module, and the noise sources that stand right before it, with no weights between."""

    path: str
    module: nn.Module
    noises: frozenset[str]


def find_head(
    model: nn.Module,
    example: Any,
    before: str | None = None,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
) -> Head | None:
    """The module `before`, or else the last one with weights after the last norm, if any."""
    with session(model, forward=forward, device=device) as run:
        inner = run.model
        wanted = None if before is None else _named(inner, before)
        weighted = {id(module) for module in ([wanted] if wanted else _candidates(inner))}
        tracers: list[_Heads] = []

        def follow(*arguments: Any, **keywords: Any) -> _Heads:
            tracers.append(_Heads(*arguments, **keywords, chosen=wanted is not None))
            return tracers[0]

        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            tracers[0].enter(module, args, kwargs)

        entered = {path: enter for path, module in walk(inner) if id(module) in weighted}
        regime = Regime("training", control=follow, enter=entered)
        run.once(run.example(example), regime)
    (tracer,) = tracers
    if not tracer.met:
        if before is not None:
            raise UsageError(f"before={before!r}: the example never reached that module")
        return None
    module, sources = list(tracer.met.items())[-1]
    names = list(named(tracer.sources))
    path = next(path for path, held in walk(inner) if held is module)
    return Head(path, module, frozenset(names[source] for source in sources))


class _Heads(Tracer):
    """Keeps what each module with weights was given since the last norm ran; `chosen`: ever."""

    def __init__(self, *arguments: Any, chosen: bool, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._chosen = chosen
        self.met: dict[nn.Module, set[int]] = {}

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """A module starts that may be the one."""
        x = next(tensors_of([args, kwargs]), None)
        if x is not None:
            trails = self._carried.get(x).trails
            self.met.pop(module, None)
            self.met[module] = {
                source
                for source, held in trails.items()
                if any(trail.placement == "a" for trail in held)
            }

    def _batch_norm(self, operation: Operation) -> None:
        super()._batch_norm(operation)
        if not self._chosen and operation.argument("running_mean") is not None:
            self.met.clear()


def _candidates(model: nn.Module) -> list[nn.Module]:
    return [module for _, module in walk(model) if _weighted(module)]


def _weighted(module: nn.Module) -> bool:
    if isinstance(module, (nn.Linear, Conv)):
        return True
    weight = module._parameters.get("weight")
    leaf = not module._modules and not isinstance(module, _TABLES)
    return leaf and weight is not None and weight.ndim >= 2


def _named(model: nn.Module, path: str) -> nn.Module:
    """The module of a path; for a Sequential its first layer, since it would run a new child."""
    found = dict(model.named_modules(remove_duplicate=False)).get(path) if path else None
    if found is None:
        raise UsageError(f"before={path!r}, but the model has no module of that path")
    while isinstance(found, nn.Sequential) and len(found):
        found = found[0]
    if isinstance(found, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        raise UsageError(f"before={path!r} is a container; name one of its layers")
    return found
