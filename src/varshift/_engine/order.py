"""Where micro-batches meet: an order of norm sites, the same on every rank, and sites by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from varshift._engine.normcall import NormCall
from varshift._engine.sites import Handle, Inventory
from varshift.errors import ModelError
from varshift.theory.moments import Moments

__all__ = ["SiteOrder", "refuse_overflow"]


class SiteOrder:
    """The norm sites of a model, in the order in which it defines them."""

    def __init__(self, model: nn.Module) -> None:
        self._model, held = model, Inventory(model)
        self._handles = held.handles
        self._places = {path: at for at, (path, _) in enumerate(held.owners.values())}

    def sites(self, stops: Callable[[str], bool]) -> int:
        """How many norms there are to settle, those known by their class or names alone."""
        return sum(map(stops, self._handles))

    def place(self, path: str) -> tuple[int, str]:
        """What to sort paths by."""
        return self._places.get(path, len(self._places)), path

    def names(self, call: NormCall) -> tuple[str, str] | None:
        """How another rank finds this site, where its path does not tell: its tensors' names."""
        if call.path in self._handles:
            return None
        wanted = [call.arguments[name] for name in ("running_mean", "running_var")]
        found = {id(tensor): name for name, _, tensor in Inventory(self._model).tensors()}
        mean, var = (found.get(id(tensor), "") for tensor in wanted)
        return mean, var

    def site(self, path: str, names: tuple[str, str] | None) -> Handle:
        """A site that only other ranks' data has reached."""
        if names is None:
            return self._handles[path]
        held: dict[str, tuple[nn.Module, Tensor]] = {
            name: (module, tensor) for name, module, tensor in Inventory(self._model).tensors()
        }
        (module, mean), (_, var) = (held[name] for name in names)
        return Handle(path, module, mean, var)


def refuse_overflow(settled: Mapping[str, Moments]) -> None:
    """Raise a ModelError that names the first norm, in the order in which they were settled."""
    for path, moments in settled.items():
        if not bool((moments.mean.isfinite() & moments.m2.isfinite()).all()):
            raise ModelError(
                f"the input of {path!r} holds NaN or infinity with noise off, though the batches "
                "are finite: the model overflows before it"
            )
