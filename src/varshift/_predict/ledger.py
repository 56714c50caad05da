"""The books of a predicted pass: per tensor, its clean twin and what is known of each noise in it.

A source enters the books where its noise meets data and leaves them at the next normalisation:
beyond it the noise is part of what the next sites take for signal. The books need no pass before:
a source has shown its law once it has met data, and it is entered right after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from varshift._engine import Control, Meeting, Operation, tensors_in
from varshift._engine.trace import ops
from varshift._engine.trace.flow import storage_key
from varshift._engine.trace.lines import calling_line
from varshift._engine.trace.noises import Source
from varshift._engine.trace.trails import Trails
from varshift._predict.noises import DRAWN, Asked, drawn, law_of, strength
from varshift._predict.parts import Algebra, Base, Lost, Part, joined, part_after
from varshift._predict.setting import Setting

__all__ = ["Ledger", "LedgerEntry"]


@dataclass(frozen=True, eq=False)
class LedgerEntry:
    """A tensor on the books: what it would be without its direct noise, and its parts by source."""

    clean: Any
    parts: Mapping[str, Part]


@dataclass(frozen=True, eq=False)
class _Step:
    """What went into an operation, as the books had it before it ran."""

    booked: list[tuple[Tensor, LedgerEntry]]
    shapes: list[torch.Size]
    clean: list[Any] | None


class Ledger(Control):
    """Runs one pass with the noise that is asked for, and keeps the books on it.

    Args:
        arguments: those of `Control`: model, modules, example; `on_norm` and `names` as there.
        setting: what is asked of sources; all others keep their own draws.
        algebra: how clean values and bases are put through operations.

    `taus` says afterwards how strong each source on the books was. What the books hold of tensors
    is let go when the pass ends.
    """

    def __init__(
        self, *arguments: Any, setting: Setting, algebra: Algebra, **directions: Any
    ) -> None:
        super().__init__(*arguments, blend=self._replace, leave_out=setting.left_out, **directions)
        self.taus: dict[str, float] = {}
        self._setting = setting
        self._algebra = algebra
        self._met_as: dict[str, int] = {}  # sources by name
        self._strengths: dict[str, float] = {}  # of sources whose own draws are used
        # By identity, with the tensor kept alive: an address must not be met twice.
        self._entries: dict[int, tuple[Tensor, LedgerEntry]] = {}
        self._views: dict[Any, dict[int, Tensor]] = {}  # booked tensors by storage
        self._fresh: tuple[str, Meeting] | None = None
        self._step: _Step | None = None

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self._entries, self._views = {}, {}
        self._fresh = self._step = None
        del self._blend  # its own method: without it the ledger goes as soon as nobody asks for it

    def entry(self, tensor: Tensor) -> LedgerEntry | None:
        """What the books say of a tensor."""
        held = self._entries.get(id(tensor))
        return held[1] if held is not None else None

    def completed(self, x: Tensor) -> LedgerEntry | None:
        """The entry of a tensor, with the sources that reach it directly and off the books."""
        entry = self.entry(x)
        parts = dict(entry.parts) if entry is not None else {}
        for name, trails in self.reaching(x).items():
            if name not in self._setting.silenced and any(trail.direct for trail in trails):
                parts.setdefault(name, _UNSEEN)
        return LedgerEntry(entry.clean if entry is not None else None, parts) if parts else entry

    def reaching(self, x: Tensor) -> dict[str, Trails]:
        """The model's own sources that reach a tensor, and the ways they take."""
        found = self._carried.get(x).trails.items()
        return {name: trails for source, trails in found if (name := self.name_of(source))}

    def _run(self, operation: Operation) -> None:
        self._step = self._fresh = None
        if operation.name in ops.NORMS or operation.name in ops.BATCH_NORMS:
            super()._run(operation)
            return
        booked = self._booked(operation)
        clean = self._algebra.clean(operation, self.entry) if booked else None
        step = _Step(booked, [value.shape for value, _ in booked], clean)
        super()._run(operation)
        self._step = step

    def _draw(self, operation: Operation) -> None:
        super()._draw(operation)
        self._book(operation)

    def _pass_on(self, operation: Operation) -> None:
        super()._pass_on(operation)
        self._book(operation)

    def _book(self, operation: Operation) -> None:
        """An operation has run, and the trace has taken it in: by now its sources have laws."""
        step = self._step
        if step is None:
            return
        if self._fresh is not None:
            self._enter(operation, step.booked, *self._fresh)
        elif step.booked and not operation.draws():
            self._carry_on(operation, step)
        for tensor in operation.written():
            self._spoil(tensor)

    # Meetings ------------------------------------------------------------------------------

    def _replace(self, meeting: Meeting) -> Tensor:
        """Called where a source meets data: what the pass goes on with."""
        silent, name = meeting.silent, meeting.name
        if silent is None:
            return meeting.noisy
        if name in self._setting.silenced:
            return silent
        changed = name in self._setting.changed
        if meeting.again:
            return silent if changed else meeting.noisy
        self._fresh = (name, meeting)
        if not changed:
            return meeting.noisy
        law = self._setting.laws[name]
        # A draw that comes again must come as it was: made weaker or stronger, not made anew.
        if (law.sharing or meeting.sharing) in DRAWN and name not in self._setting.twice:
            return silent * drawn(law, silent, meeting.sharing)
        if name not in self._strengths:
            own = self._setting.own.get(name)
            self._strengths[name] = strength(law, own, meeting.noisy, silent)
        return silent + (meeting.noisy - silent) * self._strengths[name]

    def _enter(
        self,
        operation: Operation,
        booked: list[tuple[Tensor, LedgerEntry]],
        name: str,
        meeting: Meeting,
    ) -> None:
        """A source enters the books; noise that was in the data before stays in its value."""
        law, silent = self._law(name), meeting.silent
        assert silent is not None
        out = operation.outputs()[0]
        before = {source: part for _, entry in booked for source, part in entry.parts.items()}
        parts: dict[str, Part] = {source: Lost("another noise on top") for source in before}
        clean = self._algebra.enters(operation, silent)
        met_as = self._met_as.get(name)  # none for noise of ours, which is drawn at each meeting
        if name in before and met_as is not None and self.sources[met_as].repeats:
            parts[name] = Lost("the same draw of its own on top")
        elif name in before and not self._algebra.drawn:
            parts[name] = Lost("another draw of its own on top")
        elif law is None:
            parts[name] = Lost("a noise whose law is not known in closed form")
        else:
            sharing = law.sharing or meeting.sharing
            parts[name] = Base(clean, True, sharing, signed=law.signed)
            self.taus[name] = law.tau
        self._put(out, LedgerEntry(clean, parts))

    def _law(self, name: str) -> Asked | None:
        """What was asked of a source, or else the law by which it has met data."""
        asked = self._setting.laws.get(name)
        if asked is not None or name not in self._met_as:
            return asked
        return law_of(self.sources[self._met_as[name]].noise(name))

    def _numbered(self, source: Source) -> int:
        index = super()._numbered(source)
        name = self.name_of(index)
        if name is not None:
            self._met_as.setdefault(name, index)
        return index

    # Everything else -----------------------------------------------------------------------

    def _carry_on(self, operation: Operation, step: _Step) -> None:
        outputs, clean = operation.outputs(), step.clean
        if not outputs or not outputs[0].is_floating_point():
            return
        sources = dict.fromkeys(source for _, entry in step.booked for source in entry.parts)
        parts = {source: self._part(operation, source, step) for source in sources}
        for index, out in enumerate(outputs):
            value = clean[index] if clean is not None and index < len(clean) else None
            self._put(out, LedgerEntry(value, parts))

    def _part(self, operation: Operation, source: str, step: _Step) -> Part:
        held = [
            (tensor, shape, entry.parts[source])
            for (tensor, entry), shape in zip(step.booked, step.shapes, strict=True)
            if source in entry.parts
        ]
        if operation.name == "cat":
            pieces = list(operation.args[0])
            entries = [self.entry(piece) for piece in pieces]
            found = [entry.parts.get(source) if entry else None for entry in entries]
            shapes = [piece.shape for piece in pieces]
            return joined(operation, found, shapes, self._algebra) or Lost(self._here())
        tensor, shape, part = held[0]
        if len(held) > 1 or _times(operation, tensor) > 1:
            return Lost(f"{self._here()}, where two of its ways meet")
        if len(step.booked) > 1 and operation.name in ("mul", "div"):
            return Lost(f"{self._here()}, where two noisy values are multiplied")
        at = next((i for i, value in enumerate(operation.args) if value is tensor), -1)
        return part_after(operation, at, shape, part, self._algebra) or Lost(self._here())

    def _here(self) -> str:
        """What of the user's is running: a module without modules inside, or a line."""
        path, module = self.modules.innermost
        if path and next(module.children(), None) is None:
            return f"{type(module).__name__} {path!r}"
        line = calling_line()
        inside = f"{type(module).__name__} {path!r}" if path else "the model"
        return inside if line is None else f"{line.near} in {inside}"

    def _booked(self, operation: Operation) -> list[tuple[Tensor, LedgerEntry]]:
        if operation.name in ops.SHAPE_ONLY:
            return []
        inputs = tensors_in([operation.args, operation.kwargs])
        found = {id(tensor): tensor for tensor in inputs if id(tensor) in self._entries}
        return [(tensor, self._entries[key][1]) for key, tensor in found.items()]

    def _put(self, tensor: Tensor, entry: LedgerEntry) -> None:
        self._entries[id(tensor)] = (tensor, entry)
        self._views.setdefault(storage_key(tensor), {})[id(tensor)] = tensor

    def _spoil(self, written: Tensor) -> None:
        """What the books say of other views of a tensor that was written to is true no more."""
        for key, tensor in self._views.get(storage_key(written), {}).items():
            if tensor is not written:
                sources = self._entries[key][1].parts
                self._entries[key] = (tensor, LedgerEntry(None, dict.fromkeys(sources, _WRITTEN)))


def _times(operation: Operation, tensor: Tensor) -> int:
    """How often an operation is given a tensor: twice in `x + x` and in `x * x`."""
    return sum(each is tensor for each in tensors_in([operation.args, operation.kwargs]))


_WRITTEN = Lost("a write into a part of it")
_UNSEEN = Lost("an operation that does not pass it on as a product")
