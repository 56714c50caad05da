"""How a pass is run: mode × noise × the statistics that norms use, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn

from varshift._engine.batches import Batch
from varshift._engine.normcall import Fixed, NormCall

__all__ = ["Flags", "Insert", "Norms", "Recorder", "Regime", "fixed", "stored"]

Mode = Literal["training", "evaluation"]
Flags = list[tuple[nn.Module, bool]]  # a training flag for each module
Norms = Callable[[NormCall], NormCall | None]
Insert = Callable[[nn.Module, tuple[Any, ...]], Any]
Enter = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]
Watch = Callable[[nn.Module, tuple[Any, ...], Any], None]
Build = Callable[..., Any]


class Recorder:
    """What is kept while a regime runs. Called outside every mode: nothing here is traced."""

    def begin(self, batch: Batch) -> None:
        """A pass starts; whatever an abandoned one has left is to be forgotten."""

    def keep_batches_whole(self) -> None:
        """Samples of a batch have draws in common: for errors, batches are what is independent."""

    def norm(self, call: NormCall) -> None:
        """A norm is about to run; the call is as the model asks for it."""

    def end(self, out: Any) -> None:
        """The pass is through, and the model returned `out`."""

    def share(self) -> Any:
        """What other ranks must know of it, as plain values; None where that is nothing."""
        return None

    def joined(self, shares: list[Any]) -> None:
        """Become the recorder of all ranks, from what each of them shared, in rank order."""


@dataclass(frozen=True, eq=False)
class Regime:
    """One way of running a model.

    Attributes:
        mode: "training" (the flags as lent, or after `model.train()` if lent in evaluation mode),
            "evaluation" (every flag off), or a flag for each module.
        record: what is kept.
        norms: gives the call that is run in place of a norm's own, or None to let it be.
        blend: called where a noise meets data, it returns what the pass goes on with; then every
            operation is followed. None: noise as drawn, on the cheap lane.
        leave_out: names of sources that `blend` is shown as silenced by leaving them out, as if the
            model had no such line, not by their mean.
        control: makes the mode that follows the pass, in place of `Control` itself.
        insert: by module path, what changes that module's arguments before it runs.
        enter: by module path, what is shown that module's arguments, keywords too, before it runs.
        watch: by module path, what is shown that module's arguments and output after it ran.
        structure: whether the first pass of the session is traced for the model's structure.
        name_draws: whether draws of this regime are told by where they are made.
        gradients: whether the pass is differentiated, by what its `norms` bring in: the model's own
            parameters are constants.
    """

    mode: Mode | Flags
    record: tuple[Recorder, ...] = ()
    norms: Norms | None = None
    blend: Callable[[Any], Tensor] | None = None
    leave_out: Collection[str] = ()
    control: Build | None = None
    insert: Mapping[str, Insert] = field(default_factory=dict)
    enter: Mapping[str, Enter] = field(default_factory=dict)
    watch: Mapping[str, Watch] = field(default_factory=dict)
    structure: bool = False
    name_draws: bool = False
    gradients: bool = False


def fixed(statistics: Mapping[str, Fixed]) -> Norms:
    """Norms use the statistics given by path; those not named run as the model asks."""

    def given(call: NormCall) -> NormCall | None:
        held = statistics.get(call.path)
        return None if held is None else call.fixed(held)

    return given


def stored(call: NormCall) -> NormCall:
    """Norms use what they have stored, whatever mode they are in."""
    return call.stored()
