"""Follow noise through one training pass, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm

from varshift._engine.batches import tensors_of
from varshift._engine.normcall import NormCall
from varshift._engine.sites import owners, splits_of
from varshift._engine.trace import ops
from varshift._engine.trace.flow import (
    NOTHING,
    Carried,
    Flow,
    Trail,
    Trails,
    merged,
    same_storage,
    shortest,
    stepped,
    united,
    whole,
)
from varshift._engine.trace.laws import UNKNOWN, Law, drawn_law, law_after
from varshift._engine.trace.lines import calling_line, calling_operation
from varshift._engine.trace.mode import DispatchMode
from varshift._engine.trace.modules import ModuleStack
from varshift._engine.trace.noises import Source, sharing_of, unused
from varshift._engine.trace.ops import Operation, tensors_in
from varshift._engine.trace.zeroed import zeroed_by
from varshift.results import Layer, Line, Note

__all__ = ["SiteSeen", "Tracer"]

OnNorm = Callable[[NormCall], NormCall | None]

_ARGUMENTS = ("input", "weight", "bias", "running_mean", "running_var", "momentum")


@dataclass
class SiteSeen:
    """A batch-norm operation with running statistics, as met in the pass."""

    path: str
    owner: nn.Module
    channels: int
    momentum: float | None
    eps: float
    affine: bool
    frozen: bool
    calls: int = 0
    stray: bool = False  # no module that can be found holds its statistics
    by_module: bool = False  # met as a module, not as an operation

    @property
    def kind(self) -> str:
        """The class of the norm, or the function that was called without one."""
        own = self.by_module or hasattr(self.owner, "running_mean")
        return type(self.owner).__name__ if own else "F.batch_norm"


class Tracer(DispatchMode):
    """Sees every operation; keeps what each storage carries, the sources met, the sites reached."""

    def __init__(
        self,
        model: nn.Module,
        modules: ModuleStack,
        example: Any,
        *,
        on_norm: OnNorm | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.modules = modules
        self._on_norm = on_norm
        self.sources: list[Source] = []
        self.names: list[str] = []  # of the sources, in the order they are met
        self.zeroed: dict[Any, Source] = {}  # dropout of rate 1, which draws nothing
        self.sites: dict[str, SiteSeen] = {}
        self.strays: dict[Line | None, str] = {}  # by the line that normalises, the path made up
        self.routes: dict[tuple[int, str], Trails] = {}
        self.notes: list[Note] = []
        self._owners = owners(model)
        self._index: dict[Any, int] = {}
        self._draws = 0
        self._aside = False  # what runs now is ours, not the model's
        self._carried = Carried()
        for parameter in model.parameters():
            self._carried.put(parameter, Flow(weight=True))
        for tensor in tensors_of(example):
            self._carried.put(tensor, Flow(data=True))

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        operation = Operation(func, args, kwargs or {})
        if self._aside:
            return operation.run()
        self._run(operation)
        if operation.draws():
            self._draw(operation)
        elif operation.name in ops.BATCH_NORMS:
            self._batch_norm(operation)
        elif operation.name not in ops.SHAPE_ONLY:
            self._pass_on(operation)
        return operation.out

    def note(self, text: str) -> None:
        """Say it once."""
        if text not in self.notes:
            self.notes.append(Note(text))

    def ways(self, tensor: Tensor) -> list[tuple[int, tuple[Layer, ...]]]:
        """What reaches a tensor: index of the source, and the layers on the way, per placement."""
        trails = self._carried.get(tensor).trails
        return [(index, t.layers()) for index, held in trails.items() for t in held.values()]

    def _run(self, operation: Operation) -> None:
        """Run the operation as the model asked for it; a subclass may do otherwise."""
        if operation.name in ops.BATCH_NORMS:
            self._run_norm(operation)
        else:
            operation.run()

    def _run_norm(self, operation: Operation) -> None:
        """Show the norm to who listens, and run what comes back in its place."""
        site = self._site(operation) if self._on_norm is not None else None
        if site is None or self._on_norm is None:
            operation.run()
            return
        changed = self._on_norm(_call(site, operation))
        if changed is None:
            operation.run()
        else:
            _run_changed(operation, changed)

    # Draws ---------------------------------------------------------------------------------

    def _draw(self, operation: Operation) -> None:
        index = self._source(operation)
        self.sources[index].draws.append(self._draws)
        self._draws += 1
        inputs = merged(
            self._carried.get(x) for x in tensors_in([operation.args, operation.kwargs])
        )
        # A Bernoulli draw may take its chances from data; other fresh draws only take a shape.
        chances = operation.name == "bernoulli" and operation.overload not in ("float", "p")
        if operation.name in ops.FRESH_NOISE and not (chances and inputs.data):
            law = drawn_law(operation.name, operation.overload, operation.args, operation.kwargs)
            self._write(operation, Flow(noise=index, law=law))
        else:
            self._draw_on_data(operation, index, inputs)

    def _draw_on_data(self, operation: Operation, index: int, inputs: Flow) -> None:
        """A kernel that draws and applies at once: fused dropout, attention, RReLU, sampling."""
        switch = ops.FUSED_NOISE.get(operation.name)
        rate = operation.argument(switch) if switch in ("p", "dropout_p") else None
        law = Law("bernoulli", 0.0, 1.0, float(rate)) if rate else UNKNOWN
        kind = "rrelu" if operation.name.startswith("rrelu") else law.kind
        self.sources[index].meet(kind, law.drop_p, law.tau, "element" if switch else "other")
        flow = merged([inputs, Flow(data=True, trails={index: {"a": Trail()}})])
        if switch == "dropout_p":
            flow = stepped(flow, self._layer(operation.name, "mixing"), "b")
        self._write(operation, flow)

    def _source(self, operation: Operation) -> int:
        path, module = self.modules.innermost
        line = calling_line()
        name = calling_operation() or operation.packet
        key = (path, name, line)
        if key not in self._index:
            self._index[key] = len(self.sources)
            self.sources.append(Source(path, module, name, line))
            self.names.append(unused(path or "(model)", self.names))
        return self._index[key]

    # Norms ---------------------------------------------------------------------------------

    def _batch_norm(self, operation: Operation) -> None:
        flow = self._carried.get(operation.args[0])
        layer = self._layer(operation.name, "norm")
        site = self._site(operation)
        if site is not None:
            layer = replace(layer, path=site.path)
            self._reaches(site, flow)
        self._write(operation, stepped(flow, layer, "through-norm"), statistics=False)

    def module_norm(self, meets: OnNorm, call: NormCall) -> None:
        """A norm that is a module and calls no batch normalisation is through."""
        flow = self._carried.get(call.x)
        if call.path not in self.sites:
            self.sites[call.path] = SiteSeen(
                path=call.path,
                owner=call.owner,
                channels=call.arguments["running_mean"].numel(),
                momentum=call.arguments["momentum"],
                eps=call.arguments["eps"],
                affine=call.arguments["weight"] is not None,
                frozen=not call.training,
                by_module=True,
            )
        self._reaches(self.sites[call.path], flow)
        meets(call)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What runs in the block is ours, and is not followed."""
        self._aside = True
        try:
            yield
        finally:
            self._aside = False

    def _reaches(self, site: SiteSeen, flow: Flow) -> None:
        """What the input of a norm carries."""
        site.calls += 1
        for source, trails in flow.trails.items():
            held = self.routes.get((source, site.path), {})
            self.routes[source, site.path] = shortest([*held.values(), *trails.values()])

    def _site(self, operation: Operation) -> SiteSeen | None:
        """The norm site that the operation belongs to, noted when first met."""
        running = operation.argument("running_mean")
        if not isinstance(running, Tensor):
            return None
        path, module = self.modules.innermost
        stray = id(running) not in self._owners
        if not stray:
            path, module = self._owners[id(running)]
        elif (
            isinstance(module, _InstanceNorm)
            or splits_of(module)
            or calling_operation() == "instance_norm"
        ):
            return None
        else:
            path = self._stray(path)
        if path not in self.sites:
            self.sites[path] = SiteSeen(
                path=path,
                owner=module,
                channels=running.numel(),
                momentum=operation.argument("momentum"),
                eps=_eps(operation),
                affine=operation.argument("weight") is not None,
                frozen=_frozen(operation),
                stray=stray,
            )
        return self.sites[path]

    def _stray(self, path: str) -> str:
        """What to call a norm that no module holds: one made in `forward`, say."""
        line = calling_line()
        if line not in self.strays:
            taken = self.sites.keys() | set(self.strays.values())
            self.strays[line] = unused(f"{path}.batch_norm".lstrip("."), taken)
        return self.strays[line]

    # Everything else -----------------------------------------------------------------------

    def _pass_on(self, operation: Operation) -> None:
        overwrites = operation.name in ops.OVERWRITES
        read = operation.args[1:] if overwrites else operation.args
        inputs = tensors_in([read, operation.kwargs])
        flows = [self._carried.get(tensor) for tensor in inputs]
        if all(flow is NOTHING for flow in flows):
            if overwrites:
                self._write(operation, NOTHING)
        elif operation.name in ops.CONTROL:
            self._control(flows)
        else:
            self._zeroed(operation)
            flow = merged(flows)
            if any(other.noise is not None for other in flows):
                flow = self._with_bare_noise(operation, inputs, flows, flow)
            self._write(operation, self._after(operation.name, flow, flows))

    def _zeroed(self, operation: Operation) -> None:
        name = zeroed_by(operation)
        if name is not None:
            path, module = self.modules.innermost
            line = calling_line()
            self.zeroed.setdefault((path, name, line), Source(path, module, name, line))

    def _after(self, name: str, flow: Flow, flows: list[Flow]) -> Flow:
        """The flow after an operation that is a layer of its own kind."""
        if not flow.trails:
            return flow
        if name in ops.MATRIX:
            weights = any(other.weight and not other.data for other in flows)
            return stepped(flow, self._layer(name, "weights" if weights else "mixing"), "b")
        if name in ops.NORMS:
            return stepped(flow, self._layer(name, "norm"), "through-norm")
        if name in ops.NONLINEAR:
            return stepped(flow, self._layer(name, "nonlinear"), "a")
        return stepped(flow, self._layer(name, "mixing"), "a") if name in ops.POOLS else flow

    def _with_bare_noise(
        self, operation: Operation, inputs: list[Tensor], flows: list[Flow], flow: Flow
    ) -> Flow:
        """A bare draw is shaped further, or meets data (or weights) and starts its trail."""
        if not any(other.noise is None and (other.data or other.weight) for other in flows):
            return self._shaped(operation, inputs, flows, flow)
        result = next(iter(operation.outputs()), inputs[0])
        trails: dict[int, Trails] = {}
        for tensor, other in zip(inputs, flows, strict=True):
            if other.noise is not None:
                how, shared = _how(operation, tensor), sharing_of(tensor, result)
                self.sources[other.noise].apply(how, other.law or UNKNOWN, other.block, shared)
                trails[other.noise] = {"a": Trail()}
        return replace(flow, noise=None, law=None, trails=united(flow.trails, trails))

    def _shaped(
        self, operation: Operation, inputs: list[Tensor], flows: list[Flow], flow: Flow
    ) -> Flow:
        law = UNKNOWN
        bare = [x for x, other in zip(inputs, flows, strict=True) if other.noise is not None]
        scaled = operation.argument("alpha") not in (None, 1)  # add(x, noise, alpha=0.5)
        if len(bare) == 1 and flow.law is not None and not scaled:
            number, alone = _number(operation.args, bare[0])
            if alone:
                law = law_after(operation.name, flow.law, number, operation.args[0] is bare[0])
        return replace(flow, law=law, block=flow.block or operation.name.startswith("max_pool"))

    def _control(self, flows: list[Flow]) -> None:
        for flow in flows:
            if flow.noise is not None:
                source = self.sources[flow.noise]
                source.meet("control-flow", None, None, "other")
                place = f" at {source.line}" if source.line else ""
                self.note(
                    f"{source.path or 'the model'} draws a number{place} and turns it into a "
                    "Python value: what that decides (such as skipping a layer) is not followed"
                )

    def _layer(self, operation: str, role: str) -> Layer:
        path, module = self.modules.innermost
        leaf = next(module.children(), None) is None
        return Layer(path, type(module).__name__ if leaf and path else operation, role)

    def _write(self, operation: Operation, flow: Flow, *, statistics: bool = True) -> None:
        """Let what the operation wrote carry `flow`: in-place targets, and fresh outputs."""
        written = operation.written() if statistics else []
        for tensor in written:
            kept = NOTHING if whole(tensor) else self._carried.get(tensor)
            self._carried.put(tensor, merged([kept, flow]))
        for tensor in operation.outputs():
            if not any(same_storage(tensor, target) for target in written):
                self._carried.put(tensor, flow)


def _call(site: SiteSeen, operation: Operation) -> NormCall:
    arguments = {name: operation.argument(name) for name in _ARGUMENTS}
    arguments["training"] = not _frozen(operation)
    arguments["eps"] = _eps(operation)
    return NormCall(site.path, site.owner, arguments)


def _run_changed(operation: Operation, call: NormCall) -> None:
    """Run another call of the same norm, and return as many things as the operation would."""
    held = call.arguments
    inputs = (held[name] for name in ("input", "weight", "bias", "running_mean", "running_var"))
    momentum = held["momentum"] or 0.0
    out = torch.ops.aten.native_batch_norm.default(*inputs, held["training"], momentum, held["eps"])
    returned = getattr(operation.func, "_schema", None)
    extra = len(returned.returns) - 3 if returned is not None else 0
    operation.out = (*out, *(call.x.new_empty(0, dtype=torch.uint8) for _ in range(extra)))


def _eps(operation: Operation) -> float:
    eps = operation.argument("eps")
    return float((operation.argument("epsilon") if eps is None else eps) or 0.0)


def _frozen(operation: Operation) -> bool:
    if operation.has("training"):
        return not operation.argument("training")
    return operation.name in ("_batch_norm_no_update", "_native_batch_norm_legit_no_training")


def _how(operation: Operation, noise: Tensor) -> str:
    """What the bare draw does to the data it meets: multiply, keep, drop, add or else."""
    name, args = operation.name, operation.args
    if name in ("mul", "bitwise_and", "logical_and"):
        return "multiply"
    if name in ("add", "sub", "rsub"):
        return "add"
    if name in ("masked_fill", "index_put") and _is_zero(args[2]):
        return "drop"
    if name == "where" and args[0] is noise:
        return "keep" if _is_zero(args[2]) else "drop" if _is_zero(args[1]) else "other"
    return "other"


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not bool(value.any())
    return isinstance(value, (int, float)) and value == 0


def _number(args: tuple[Any, ...], noise: Tensor) -> tuple[float | None, bool]:
    """The one number beside the noise (or None), and whether nothing else is there."""
    number: float | None = None
    for value in args:
        if value is noise:
            continue
        if isinstance(value, Tensor):
            if value.ndim:
                return None, False
            value = float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if number is not None:
                return None, True
            number = float(value)
    return number, True
