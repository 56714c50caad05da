"""What stands around one call of the model: hooks, gradients, and the mode that meets the norms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from varshift._engine.ahead import Ahead
from varshift._engine.batches import Batch
from varshift._engine.borrow.rng import State, drawn_from, rng_state
from varshift._engine.borrow.walk import walk
from varshift._engine.control import Control, names_of
from varshift._engine.normcall import NormCall
from varshift._engine.regime import Regime
from varshift._engine.sites import Inventory
from varshift._engine.tap import OnNorm, Tap
from varshift._engine.trace.modules import ModuleStack, module_stack
from varshift._engine.trace.tracer import Tracer
from varshift._engine.unread import Vectors
from varshift._engine.watched import ByModule, Watched, watching

__all__ = ["Around", "Trace"]


@dataclass(frozen=True, eq=False)
class Trace:
    """The first traced pass: its batch, what followed it, and which generators it moved.

    `start` are the states of the generators before it. `ahead` is noise that no draw of the pass
    has made, which `tracer` has followed too. `written` names tensors of a model without norms that
    the pass has changed: they may be running statistics of a kind that is not known.
    """

    batch: Batch
    tracer: Tracer
    moved: tuple[str, ...]
    start: State
    ahead: Ahead = field(default_factory=Ahead)
    written: tuple[str, ...] = ()

    @property
    def names(self) -> dict[Any, str]:
        """The names of its sources, as `Control` takes them."""
        return names_of(self.tracer)

    @property
    def twice(self) -> frozenset[str]:
        """Names of the sources one draw of which has met data more than once.

        Not of alpha dropout, which is one noise of two parts.
        """
        names, met = self.names, self.tracer.sources
        return frozenset(names[each.key] for each in met if each.twice and each.law != "alpha")


@dataclass(eq=False)
class Around:
    """One pass under one regime: `enter` a stack, call the model, leave it.

    Attributes:
        inventory: the model's modules, and `watched` those that may normalise in their own way.
        by_module: takes in those that did, and called no batch normalisation.
        report: is told the modules that run, where the pass is followed.
        trace: of the session's first traced pass. It is this one, once it is left, where the regime
            asks for a structure and there was none.
        control: what directed the noise, where the regime has a `blend`.
    """

    batch: Batch
    regime: Regime
    inventory: Inventory
    watched: dict[str, Watched]
    by_module: ByModule
    report: Any
    trace: Trace | None
    control: Control | None = None

    def __post_init__(self) -> None:
        self._met: set[str] = set()
        self._meet = _meeting(self.regime, self._met)
        self._meet_module = self.by_module.meeting(_meeting(self.regime, set()))
        self._tracing = self.regime.structure and self.trace is None

    def enter(self, stack: ExitStack) -> None:
        """Hooks and gradients first, the mode that meets the norms innermost."""
        if self.regime.gradients:
            stack.enter_context(_constant(self.inventory.model))
            stack.enter_context(torch.enable_grad())
        self._hook(stack)
        if self._tracing or self.regime.blend is not None or self.regime.control is not None:
            self._follow(stack)
        elif self.regime.record or self.regime.norms is not None:
            self._tap(stack)

    def _hook(self, stack: ExitStack) -> None:
        regime = self.regime
        if not (regime.insert or regime.enter or regime.watch):
            return
        modules = dict(walk(self.inventory.model))
        for path, insert in regime.insert.items():
            stack.callback(modules[path].register_forward_pre_hook(insert).remove)
        for path, enter in regime.enter.items():
            hook = modules[path].register_forward_pre_hook(enter, with_kwargs=True)
            stack.callback(hook.remove)
        for path, watch in regime.watch.items():
            stack.callback(modules[path].register_forward_hook(watch).remove)

    def _tap(self, stack: ExitStack) -> None:
        """The cheap lane, on which norms alone are met."""
        strays = None if self.trace is None else self.trace.tracer.strays
        if self.watched:
            stack.enter_context(watching(self.watched, self._meet_module, self._met))
        stack.enter_context(Tap(self.inventory.model, self._meet, self.inventory.owners, strays))

    def _follow(self, stack: ExitStack) -> None:
        """The lane on which every operation is followed."""
        mode = self._mode(stack.enter_context(module_stack(self.inventory, self.report)))
        if self._tracing:
            mode.look_outside()
        elif self.trace is not None and self.trace.ahead.kept and mode.outside is None:
            mode.look_outside(self.trace.ahead.kept)
        if self._tracing and not self._holds_norms():  # called when the mode is left: not followed
            stack.callback(self._look_for_unread, Vectors(self.inventory))
        stack.enter_context(mode)
        if self._tracing:
            stack.callback(self._traced, mode, rng_state())
        if self.watched:
            shown = partial(mode.module_norm, self._meet_module)
            stack.enter_context(watching(self.watched, shown, self._met, mode.aside))

    def _mode(self, modules: ModuleStack) -> Tracer:
        arguments = (self.inventory.model, modules, self.batch.value)
        if self.regime.control is not None:
            made: Tracer = self.regime.control(*arguments, on_norm=self._meet)
            return made
        if self.regime.blend is None:
            return Tracer(*arguments, on_norm=self._meet)
        names = None if self.trace is None else self.trace.names
        blend = self.regime.blend
        self.control = Control(
            *arguments,
            names=names,
            blend=blend,
            leave_out=self.regime.leave_out,
            on_norm=self._meet,
        )
        return self.control

    def _traced(self, tracer: Tracer, before: State) -> None:
        self.trace = Trace(self.batch, tracer, drawn_from(before, rng_state()), before)

    def _holds_norms(self) -> bool:
        """Whether there is a norm to tell of, met or not: nothing else is then looked for."""
        registered = {path for path, _ in self.inventory.registered}
        return not registered.isdisjoint({*self.inventory.handles, *self.watched})

    def _look_for_unread(self, vectors: Vectors) -> None:
        if self.trace is not None and not self.trace.tracer.sites:
            self.trace = replace(self.trace, written=vectors.written())


def _meeting(regime: Regime, met: set[str]) -> OnNorm:
    """What is done with every call of a norm; `met` takes in the paths.

    No method: the trace, which holds it, would hold the pass that holds the trace.
    """

    def meet(call: NormCall) -> NormCall | None:
        met.add(call.path)
        changed = None if regime.norms is None else regime.norms(call)
        for recorder in regime.record:
            recorder.norm(call)
        return changed

    return meet


@contextmanager
def _constant(model: nn.Module) -> Iterator[None]:
    """No gradient of the model's own parameters inside the block."""
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in asking:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)
