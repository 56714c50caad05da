"""Follow noise through one training pass, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.batches import tensors_of
from varshift._engine.normcall import NormCall
from varshift._engine.sharding import talks_to_ranks
from varshift._engine.sites import splits_of
from varshift._engine.trace import ops
from varshift._engine.trace.constants import with_signals
from varshift._engine.trace.flow import (
    NOTHING,
    Carried,
    Flow,
    merged,
    same_storage,
    stepped,
    whole,
)
from varshift._engine.trace.laws import UNKNOWN, Law, drawn_law
from varshift._engine.trace.lines import calling_line, calling_operation
from varshift._engine.trace.meeting import how_it_meets, sharing_where_it_meets
from varshift._engine.trace.mode import DispatchMode
from varshift._engine.trace.modules import ModuleStack
from varshift._engine.trace.noises import Source, unused
from varshift._engine.trace.ops import Operation
from varshift._engine.trace.outside import MadeAhead, Outside
from varshift._engine.trace.shaping import law_shaped
from varshift._engine.trace.sharing import for_whole_batches, has_samples, sharing_of
from varshift._engine.trace.trails import Reached
from varshift._engine.trace.zeroed import zeroed_by
from varshift._engine.weakly import weakly
from varshift._torch.classes import InstanceNorm
from varshift._torch.tensors import schema_of
from varshift.results import Layer, Line, Note
from varshift.results.structure import Sharing

__all__ = ["SiteSeen", "Tracer"]

OnNorm = Callable[[NormCall], NormCall | None]

# Of kernels that draw and apply at once, the laws that are no rate.
_FUSED_LAWS = {
    "rrelu_with_noise": "rrelu",
    "rrelu_with_noise_functional": "rrelu",
    "normal": "additive",
}
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
        self.routes: dict[str, Reached] = {}  # by norm, the sources that reach it
        self.notes: list[Note] = []
        self.talks = False  # to other ranks, which have to run the same passes
        self._owners = modules.held.owners
        self._index: dict[Any, int] = {}
        self._draws = 0
        self._aside = False  # what runs now is ours, not the model's
        self._carried = Carried()
        self._flows: list[Flow] = []  # of what the operation in hand reads, in order
        self.outside: Outside | None = None
        self._decided: Mapping[int, Source] = {}
        self._ordinal = 0
        self._model = model
        weight = Flow(weight=True)
        for _, module in modules.held.registered:
            for parameter in module._parameters.values():
                if parameter is not None:
                    self._carried.put(parameter, weight)
        for tensor in tensors_of(example):
            self._carried.put(tensor, Flow(data=True))

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        self._on_norm = None  # who listens may hold this tracer, and it the model

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if self._aside:
            return func(*args, **(kwargs or {}))
        operation = Operation(func, args, kwargs or {})
        self.talks = self.talks or talks_to_ranks(func)
        name = operation.name
        norm, shape_only = name in ops.BATCH_NORMS, name in ops.SHAPE_ONLY
        self._flows = [] if norm or shape_only else self._coming_in(operation)
        self._run(operation)
        if operation.draws():
            self._draw(operation)
        elif norm:
            self._batch_norm(operation)
        elif not shape_only:
            self._pass_on(operation)
        elif self.outside is not None:
            self.outside.claim(operation)
        if self._decided:
            self._mark(operation)
        return operation.out

    def look_outside(
        self, kept: Sequence[MadeAhead] = (), decided: Mapping[int, Source] | None = None
    ) -> None:
        """Before the pass: find tensors that it has not made; those in `kept` are noise.

        So are the numbers that the operations in `decided` are given, by ordinal in the pass.
        """
        self.outside = Outside(
            self._model, self.modules, self._carried, kept, weakly(self._numbered)
        )
        self._decided = decided or {}

    def _coming_in(self, operation: Operation) -> list[Flow]:
        """What each tensor that the operation reads carries."""
        if self.outside is not None:
            flows = self.outside.look(operation)
        else:
            flows = [self._carried.get(tensor) for tensor in operation.read()]
        bare = any(flow.noise is not None for flow in flows)
        return with_signals(operation, flows) if bare else flows

    def _mark(self, operation: Operation) -> None:
        """Let what an operation gives carry the source of the number that it was given."""
        at, self._ordinal = self._ordinal, self._ordinal + 1
        if at not in self._decided or operation.draws():
            return
        number = self._numbered(self._decided[at])
        self.sources[number].shared = True
        for tensor in operation.outputs():
            flow = self._carried.get(tensor)
            if number not in flow.trails and number not in flow.drawn:
                flow = merged([flow, Flow(noise=number)])
                acts = flow.data or flow.weight
                self._carried.put(tensor, self._acting(flow, "other") if acts else flow)

    def note(self, text: str) -> None:
        """Say it once."""
        if text not in self.notes:
            self.notes.append(Note(text))

    def ways(self, tensor: Tensor) -> list[tuple[int, tuple[Layer, ...]]]:
        """What reaches a tensor: index of the source, and the layers on the way, per placement."""
        trails = self._carried.get(tensor).trails
        return [(index, t.layers()) for index, held in trails.items() for t in held]

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
        read = merged(map(self._carried.get, operation.chances()))
        # A mask of learnt chances is a mask; what is drawn around weights is weights with noise.
        around = read.data or (read.weight and operation.name == "normal")
        if operation.name in ops.FUSED_NOISE or around:
            self._draw_on_data(operation, index, read)
        else:
            self._write(operation, Flow(noise=index, law=drawn_law(operation), others=read.drawn))

    def _draw_on_data(self, operation: Operation, index: int, inputs: Flow) -> None:
        """A kernel that draws and applies at once: fused dropout, attention, RReLU, sampling."""
        switch = ops.FUSED_NOISE.get(operation.name)
        rate = operation.argument(switch) if switch in ("p", "dropout_p") else None
        law = Law("bernoulli", 0.0, 1.0, float(rate)) if rate else UNKNOWN
        kind = _FUSED_LAWS.get(operation.name, law.kind)
        shared: Sharing = "element" if switch or kind == "additive" else "other"
        self.sources[index].meet(kind, law.drop_p, law.tau, shared)
        began = Flow(data=not inputs.weight, trails=Reached.by([index]))
        flow = merged([inputs, began])
        if switch == "dropout_p":
            flow = stepped(flow, self._layer(operation.name, "mixing"), "b")
        self._write(operation, flow)

    def _source(self, operation: Operation) -> int:
        path, module = self.modules.innermost
        line = calling_line()
        name = calling_operation() or operation.packet
        return self._numbered(Source(path, module, name, line))

    def _numbered(self, source: Source) -> int:
        """The number of a source, which is entered when first met."""
        if source.key not in self._index:
            self._index[source.key] = len(self.sources)
            self.sources.append(source)
            self.names.append(unused(source.label, self.names))
        return self._index[source.key]

    # Norms ---------------------------------------------------------------------------------

    def _batch_norm(self, operation: Operation) -> None:
        flow = self._received(operation.args[0], operation.packet)
        layer = self._layer(operation.name, "norm")
        site = self._site(operation)
        if site is not None:
            layer = replace(layer, path=site.path)
            self._reaches(site, flow)
        self._write(operation, stepped(flow, layer, "through-norm"), statistics=False)

    def module_norm(self, meets: OnNorm, call: NormCall) -> None:
        """A norm that is a module and calls no batch normalisation is through."""
        flow = self._received(call.x, "norm")
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

    def _received(self, x: Tensor, operation: str) -> Flow:
        """What the input of a norm carries: a draw that met no data on its way is all of it."""
        if self.outside is not None:
            self.outside.at_norm(x, operation)
        return self._acting(self._carried.get(x))

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
        self.routes[site.path] = self.routes.get(site.path, flow.trails).united(flow.trails)

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
            isinstance(module, InstanceNorm)
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
        inputs, flows = operation.read(), self._flows
        if all(flow is NOTHING for flow in flows):
            if operation.name in ops.OVERWRITES:
                self._write(operation, NOTHING)
            if self.outside is not None:
                self.outside.claim(operation)
        elif operation.name in ops.CONTROL:
            self._control(inputs, flows)
        else:
            self._zeroed(operation)
            flow = merged(flows)
            if flow.data and flow.trails:
                self._share_weights(operation, inputs, flows)
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
            self._share(operation, inputs, flows)
            flow = self._shaped(operation, inputs, flows, flow)
            return self._acting(flow) if operation.name in ops.NORMS else flow
        result = next(iter(operation.outputs()), inputs[0])
        trails = flow.trails
        self._share(operation, inputs, flows)
        for tensor, other in zip(inputs, flows, strict=True):
            if other.noise is not None:
                how = how_it_meets(operation, tensor)
                shared = sharing_where_it_meets(operation, tensor, result, other.law)
                trails = trails.united(self._began(other, how, shared))
        return flow._replace(noise=None, law=None, others=(), trails=trails)

    def _acting(self, flow: Flow, sharing: Sharing = "element") -> Flow:
        """A bare draw stands where data should; anything else as it is."""
        if flow.noise is None:
            return flow
        trails = flow.trails.united(self._began(flow, "write", sharing))
        return flow._replace(data=True, noise=None, law=None, others=(), trails=trails)

    def _began(self, flow: Flow, how: str, sharing: Sharing) -> Reached:
        """The first step of the sources of a bare draw, which show their laws by it."""
        for source in flow.drawn:
            self.sources[source].apply(how, flow.law or UNKNOWN, flow.block, sharing)
        return Reached.by(flow.drawn)

    def _share(self, operation: Operation, inputs: list[Tensor], flows: list[Flow]) -> None:
        """Note which bare draws are spread over all samples that they meet."""
        result = next(iter(operation.outputs()), inputs[0])
        for tensor, flow in zip(inputs, flows, strict=True):
            if flow.noise is not None and for_whole_batches(tensor, inputs, result):
                for source in flow.drawn:
                    self.sources[source].shared = True

    def _share_weights(self, operation: Operation, inputs: list[Tensor], flows: list[Flow]) -> None:
        """Note noise that came with weights or constants, whose one draw all samples meet."""
        for tensor, flow in zip(inputs, flows, strict=True):
            noisy = flow.trails and not flow.data and flow.noise is None
            if noisy and not has_samples(operation, tensor, inputs):
                for source in flow.trails:
                    self.sources[source].shared = True

    def _shaped(
        self, operation: Operation, inputs: list[Tensor], flows: list[Flow], flow: Flow
    ) -> Flow:
        bare = [(x, f.law) for x, f in zip(inputs, flows, strict=True) if f.noise is not None]
        noise, own = bare[0]
        alone = all(each is noise for each, _ in bare)
        law = law_shaped(operation, own or UNKNOWN, noise) if alone else UNKNOWN
        return flow._replace(law=law, block=flow.block or operation.name.startswith("max_pool"))

    def _control(self, inputs: list[Tensor], flows: list[Flow]) -> None:
        for tensor, flow in zip(inputs, flows, strict=True):
            if flow.noise is not None:
                source = self.sources[flow.noise]
                source.number = source.number or tensor.dtype != torch.bool
                source.meet("control-flow", None, None, "other")
                place = f" at {source.line.near}" if source.line else ""
                self.note(
                    f"{source.path or 'the model'} draws a number{place} and turns it into a "
                    "Python value: what that decides (such as skipping a layer) is not followed"
                )

    def _layer(self, operation: str, role: str) -> Layer:
        path, module = self.modules.innermost
        leaf = path in self.modules.leaves
        return Layer(path, type(module).__name__ if leaf and path else operation, role)

    def _write(self, operation: Operation, flow: Flow, *, statistics: bool = True) -> None:
        """Let what the operation wrote carry `flow`: in-place targets, and fresh outputs."""
        written = operation.written() if statistics else []
        for tensor in written:
            kept = NOTHING if whole(tensor) else self._carried.get(tensor)
            self._carried.put(tensor, self._beside(kept, flow, operation, tensor))
        for tensor in operation.outputs():
            if not (written and any(same_storage(tensor, target) for target in written)):
                self._carried.put(tensor, flow)

    def _beside(self, kept: Flow, flow: Flow, operation: Operation, part: Tensor) -> Flow:
        """What a storage carries of which a part was overwritten: a draw may stand beside data."""
        both = merged([kept, flow])
        if both.noise is None or not (both.data or both.weight):
            return both
        drawn = [x for x in operation.read() if self._carried.get(x).noise is not None]
        shared: Sharing = "element"
        if drawn and flow.noise is not None:
            shared = sharing_of(drawn[0], part, flow.law or UNKNOWN)
        return merged([self._acting(kept, shared), self._acting(flow, shared)])


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
    returned = schema_of(operation.func)
    extra = len(returned.returns) - 3 if returned is not None else 0
    operation.out = (*out, *(call.x.new_empty(0, dtype=torch.uint8) for _ in range(extra)))


def _eps(operation: Operation) -> float:
    eps = operation.argument("eps")
    return float((operation.argument("epsilon") if eps is None else eps) or 0.0)


def _frozen(operation: Operation) -> bool:
    if operation.has("training"):
        return not operation.argument("training")
    return operation.name in ("_batch_norm_no_update", "_native_batch_norm_legit_no_training")
