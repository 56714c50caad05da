"""Tensors that no operation of the pass has made, where they meet data: masks drawn ahead, or by
numpy.

They carry nothing that was drawn, so they are looked for among what carries nothing: a tensor that
is neither the example's, nor a parameter, nor made by an operation of this pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from varshift._engine.trace import ops
from varshift._engine.trace.flow import NOTHING, Carried, Flow, storage_key, whole
from varshift._engine.trace.laws import UNKNOWN, Law
from varshift._engine.trace.lines import calling_line
from varshift._engine.trace.modules import ModuleStack
from varshift._engine.trace.noises import Source
from varshift._engine.trace.ops import Operation
from varshift.results import Line

__all__ = ["MadeAhead", "Meets", "Origin", "Outside"]

_MOST = 200  # meetings that are told apart; a model with more is not one with a few masks


@dataclass(frozen=True)
class Meets:
    """Where a tensor meets data: the module whose code runs, the operation and the user's line."""

    path: str
    operation: str
    line: Line | None


@dataclass(eq=False)
class Origin:
    """A tensor that the pass has found ready-made, and as what it met data, by where."""

    tensor: Tensor
    meetings: dict[Meets, Tensor] = field(default_factory=dict)
    beside_noise: bool = False  # what it met has carried a draw already


@dataclass(frozen=True)
class MadeAhead:
    """A noise that no draw of the pass makes: `source` tells it, `law` was read off its values.

    `name` is where the model keeps it ("rnn.masks"); None for one that is made anew in every pass,
    which is told by where it meets data.
    """

    name: str | None
    meets: Meets
    source: Callable[[], Source]
    law: Law = UNKNOWN


class Outside:
    """Finds them; those that are known already become bare draws of their source where they meet.

    `number` enters a source among those of the pass.
    """

    def __init__(
        self,
        model: nn.Module,
        modules: ModuleStack,
        carried: Carried,
        kept: Sequence[MadeAhead],
        number: Callable[[Source], int],
    ) -> None:
        self.origins: list[Origin] = []
        self.reached = False  # a norm, by data that one of them has met
        self._modules, self._carried, self._number = modules, carried, number
        self._named: Mapping[object, MadeAhead] = {}
        self._placed = {each.meets: each for each in kept if each.name is None}
        self._meetings = 0
        names = {each.name: each for each in kept if each.name is not None}
        if names:
            found = ((names.get(name), tensor) for name, _, tensor in modules.held.tensors())
            self._named = {storage_key(tensor): each for each, tensor in found if each is not None}

    def look(self, operation: Operation) -> list[Flow]:
        """Before an operation runs: does something in it come from outside, and meet data?

        Gives what each tensor carries that the operation reads.
        """
        tensors = read = operation.read()
        if operation.name in ops.OVERWRITES:
            tensors = [*read, *(x for x in operation.written() if not whole(x))]
        flows = [self._carrying(tensor) for tensor in tensors]
        if any(flow.outside is not None for flow in flows) and self._meetings < _MOST:
            data = [flow for flow in flows if flow.data or flow.weight]
            noisy = any(flow.trails for flow in data)
            for tensor, flow in zip(tensors, flows, strict=True):
                if flow.outside is not None and data:
                    self._meet(operation.packet, tensor, self.origins[flow.outside], noisy)
            flows = [self._carried.get(tensor) for tensor in tensors]
        return flows[: len(read)]

    def _carrying(self, tensor: Tensor) -> Flow:
        flow = self._carried.get(tensor)
        return self._found(tensor) if flow is NOTHING else flow

    def at_norm(self, x: Tensor, operation: str) -> None:
        """What a norm receives may have met one of them, or be one."""
        flow = self._carrying(x)
        if flow.outside is not None:
            self._meet(operation, x, self.origins[flow.outside], noisy=False)
        self.reached = self.reached or flow.touched or flow.outside is not None

    def claim(self, operation: Operation) -> None:
        """What an operation has made of nothing that counts is not from outside."""
        for tensor in (*operation.outputs(), *operation.written()):
            self._carried.claim(tensor)

    def _found(self, tensor: Tensor) -> Flow:
        """A storage that nobody has written in this pass."""
        counter = not tensor.ndim and not (tensor.is_floating_point() or tensor.is_complex())
        if counter or not tensor.numel() or self._carried.known(tensor):
            return NOTHING
        flow = Flow(outside=len(self.origins))
        self.origins.append(Origin(tensor))
        self._carried.put(tensor, flow)
        return flow

    def _meet(self, operation: str, tensor: Tensor, origin: Origin, noisy: bool) -> None:
        meets = Meets(self._modules.innermost[0], operation, calling_line())
        self._meetings += meets not in origin.meetings
        origin.meetings.setdefault(meets, tensor)
        origin.beside_noise |= noisy
        kept = self._named.get(storage_key(origin.tensor)) or self._placed.get(meets)
        if kept is not None:
            noise = self._number(kept.source())
            self._carried.put(tensor, Flow(noise=noise, law=kept.law))
