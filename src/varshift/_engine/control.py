"""A pass in which every noise source does what it is told, and every norm uses what it is told.

A bare draw is harmless until it meets data. There the operation is run twice, as the model asked
and with the noise replaced by its mean; what goes on is a blend of the two, chosen sample by
sample. So a source can be silenced, or replaced by another law, without knowing its class.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.quiet import SUMS, by_mean, left_out, shut_out
from varshift._engine.trace import ops
from varshift._engine.trace.flow import Flow
from varshift._engine.trace.laws import UNKNOWN
from varshift._engine.trace.meeting import sharing_where_it_meets
from varshift._engine.trace.modules import ModuleStack
from varshift._engine.trace.noises import named
from varshift._engine.trace.ops import Operation, tensors_in
from varshift._engine.trace.tracer import OnNorm, Tracer
from varshift._torch.tensors import schema_of
from varshift.results.structure import Sharing

__all__ = [
    "Control",
    "Key",
    "Meeting",
    "Silenced",
    "along_samples",
    "names_of",
]

Key = tuple[Any, ...]
_ALPHA = ("alpha_dropout", "feature_alpha_dropout")


class Silenced(StrEnum):
    """How a source was silenced; the value says it in words."""

    BY_MEAN = "exactly: the noise is replaced by its mean where it meets the data"
    BY_KERNEL = "exactly: its kernel is asked to draw nothing"
    LEFT_OUT = "exactly: it is left out, as in evaluation"
    BY_DRAWN_MEAN = (
        "by the mean of its own draw in each batch, since its law is not known in closed form"
    )
    NOT = "not at all: what it does to the data is not a product, a sum or a mask"

    @property
    def exact(self) -> bool:
        """Whether nothing of the noise is left."""
        return self in (Silenced.BY_MEAN, Silenced.BY_KERNEL, Silenced.LEFT_OUT)


_LEAST_EXACT = (
    *(Silenced.BY_KERNEL, Silenced.LEFT_OUT, Silenced.BY_MEAN),
    *(Silenced.BY_DRAWN_MEAN, Silenced.NOT),
)


@dataclass(frozen=True, eq=False)
class Meeting:
    """A source's noise meets data: `noisy` is what the model asked for, `silent` its quiet twin.

    `silent` is None where the source cannot be silenced. `sharing` says which values of the result
    share one draw. `again`: the data carries this source's noise already, and this is the second
    part of one and the same noise (a sum after a product, a scale after a mask).
    """

    name: str
    noisy: Tensor
    silent: Tensor | None
    sharing: Sharing
    again: bool = False


def names_of(tracer: Tracer) -> dict[Key, str]:
    """The name that `Structure` gives each source of a finished trace, by what identifies it."""
    return {source.key: name for name, source in named(tracer.sources).items()}


class Control(Tracer):
    """Runs a pass under direction: `blend` decides at each meeting, `on_norm` at each norm.

    Args:
        model: the borrowed model.
        modules: its module stack.
        example: the batch; its tensors count as data.
        names: source names by key, from `names_of` a first trace; None: they are named as met.
        blend: takes a `Meeting` and returns what the pass goes on with. Only called for sources
            that are known and can be silenced.
        leave_out: the sources that are silenced by leaving them out, not by their mean.
        on_norm: takes a `NormCall` and may return one to be run in its place.

    `methods` says afterwards how each source was silenced, `strangers` counts draws of sources that
    the first trace had not met.
    """

    def __init__(
        self,
        model: nn.Module,
        modules: ModuleStack,
        example: Any,
        *,
        names: Mapping[Key, str] | None = None,
        blend: Callable[[Meeting], Tensor],
        leave_out: Collection[str] = (),
        on_norm: OnNorm | None = None,
    ) -> None:
        super().__init__(model, modules, example, on_norm=on_norm)
        self.methods: dict[str, Silenced] = {}
        self.strangers = 0
        self.planted: str | None = None  # the name of what a hook of ours draws just now
        self._names = names
        self._blend = blend
        self._leave_out = leave_out

    def _run(self, operation: Operation) -> None:
        if operation.name in ops.BATCH_NORMS:
            self._run_norm(operation)
        elif operation.draws():
            self._run_draw(operation)
        else:
            met = self._met(operation)
            if met is None:
                operation.run()
            else:
                again = self._again(met[0], met[2])
                self._direct(operation, met[0], *self._silent(operation, *met), again=again)

    def name_of(self, source: int) -> str | None:
        """The name of a source of this pass; None for a stranger."""
        held = self.sources[source]
        return self.names[source] if self._names is None else self._names.get(held.key)

    # Noise ---------------------------------------------------------------------------------

    def _run_draw(self, operation: Operation) -> None:
        fused = operation.name in ops.FUSED_NOISE
        if not fused:
            operation.run()
            return
        before = _without_draw(operation)
        self._direct(operation, self._source(operation), before, Silenced.BY_KERNEL, "element")

    def _draw_on_data(self, operation: Operation, index: int, inputs: Flow) -> None:
        """A draw that takes its chances from data has been run as it is: nothing to replace."""
        super()._draw_on_data(operation, index, inputs)
        name = self.name_of(index)
        if name is not None:
            self.methods.setdefault(name, Silenced.NOT)

    def _acting(self, flow: Flow, sharing: Sharing = "element") -> Flow:
        """Noise that stands where data should be is all there is: nothing to put in its place."""
        for source in flow.drawn:
            name = self.name_of(source)
            if name is not None:
                self.methods[name] = Silenced.NOT
        return super()._acting(flow, sharing)

    def _met(self, operation: Operation) -> tuple[int, list[Tensor], list[Flow]] | None:
        """The source whose bare draw meets data in this operation, with all inputs."""
        inputs, flows = operation.read(), self._flows
        bare = [flow.noise for flow in flows if flow.noise is not None]
        if not bare or not any(f.noise is None and (f.data or f.weight) for f in flows):
            return None
        return bare[0], inputs, flows

    def _again(self, source: int, flows: list[Flow]) -> bool:
        carried = any(source in flow.trails for flow in flows)
        known = self.sources[source]
        return carried and (known.operation in _ALPHA or known.tau is None)

    def _silent(
        self, operation: Operation, source: int, inputs: list[Tensor], flows: list[Flow]
    ) -> tuple[Tensor | None, Silenced, Sharing]:
        noise, flow = next(
            (x, f) for x, f in zip(inputs, flows, strict=True) if f.noise is not None
        )
        asked = (self.planted or self.name_of(source)) in self._leave_out
        silent = (left_out if asked else shut_out)(operation, noise, flows)
        method = Silenced.LEFT_OUT
        # Weights that were drawn ahead have no one mean that could stand for all of them.
        whole = bool(self.sources[source].kept) and operation.name in SUMS
        if silent is None and not whole:
            mean, method = self._mean(source, operation, noise, flow)
            silent = by_mean(operation, noise, mean)
        if silent is None:
            return None, Silenced.NOT, "other"
        sums = operation.name in SUMS or noise.ndim > silent.ndim
        if sums:
            return silent, method, "other"
        return silent, method, sharing_where_it_meets(operation, noise, silent, flow.law)

    def _mean(
        self, source: int, operation: Operation, noise: Tensor, flow: Flow
    ) -> tuple[Tensor, Silenced]:
        if self.sources[source].operation in _ALPHA:
            neutral = 0.0 if operation.name == "add" else 1.0
            return noise.new_tensor(neutral, dtype=_real(noise.dtype)), Silenced.LEFT_OUT
        law = flow.law or UNKNOWN
        if law.mean == law.mean:
            return noise.new_tensor(law.mean, dtype=_real(noise.dtype)), Silenced.BY_MEAN
        return noise.to(_real(noise.dtype)).mean(), Silenced.BY_DRAWN_MEAN

    def _direct(
        self,
        operation: Operation,
        source: int,
        silent: Tensor | None,
        method: Silenced,
        sharing: Sharing,
        *,
        again: bool = False,
    ) -> None:
        operation.run()
        name = self.planted or self.name_of(source)
        if name is None:
            self.strangers += 1
            return
        ways = method, self.methods.get(name, method)  # a source may meet data more than once
        self.methods[name] = max(ways, key=_LEAST_EXACT.index)
        noisy = next(iter(operation.outputs()), None)
        if silent is None or noisy is None or silent.shape != noisy.shape:
            self.methods[name] = Silenced.NOT
            return
        chosen = self._blend(Meeting(name, noisy, silent, sharing, again))
        if chosen is noisy:
            return
        if operation.written():
            noisy.copy_(chosen)
        else:
            operation.out = _with_first(operation.out, chosen.to(noisy.dtype))


def along_samples(values: Tensor, samples: int, like: Tensor) -> Tensor | None:
    """Per-sample `values` (samples,) shaped to broadcast along the samples of `like`.

    Samples are dimension 0, alone or with further rows of each sample behind it (windows, heads,
    time steps), or else dimension 1. None where no dimension fits.
    """
    if like.ndim == 0:
        return None
    if len(like) % samples == 0 and len(like) > 0:
        rows = values.repeat_interleave(len(like) // samples)
        return rows.view(-1, *(1,) * (like.ndim - 1))
    if like.ndim > 1 and like.shape[1] == samples:
        return values.view(1, -1, *(1,) * (like.ndim - 2))
    return None


def _real(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


def _with_first(out: Any, value: Tensor) -> Any:
    if isinstance(out, Tensor):
        return value
    return (value, *out[1:])


def _without_draw(operation: Operation) -> Tensor | None:
    """What a kernel that draws and applies at once gives when asked not to draw."""
    args, kwargs = list(operation.args), dict(operation.kwargs)
    switch = ops.FUSED_NOISE[operation.name]
    names = [argument.name for argument in schema_of(operation.func).arguments]
    if operation.name == "native_dropout":
        x: Tensor = operation.args[0]
        return x.clone()
    if switch not in names:
        return None
    value: Any = False if switch == "training" else 0.0
    if switch in kwargs or names.index(switch) >= len(args):
        kwargs[switch] = value
    else:
        args[names.index(switch)] = value
    fresh = [arg.clone() if isinstance(arg, Tensor) and arg.ndim else arg for arg in args]
    quiet: Tensor | None = next(iter(tensors_in(operation.func(*fresh, **kwargs))), None)
    return quiet
