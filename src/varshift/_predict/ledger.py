"""The books of a predicted pass: per tensor, its clean twin and what is known of each noise in it.

A source enters the books where its noise meets data and leaves them at the next normalisation:
beyond it the noise is part of what the next sites take for signal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from varshift._engine.control import Control, Meeting
from varshift._engine.normcall import NormCall
from varshift._engine.trace import ops
from varshift._engine.trace.flow import storage_key
from varshift._engine.trace.ops import Operation, tensors_in
from varshift._predict.noises import drawn
from varshift._predict.parts import Algebra, Base, Lost, Part, joined, part_after
from varshift._predict.setting import Setting

__all__ = ["Entry", "Ledger"]


@dataclass(frozen=True, eq=False)
class Entry:
    """A tensor on the books: what it would be without its direct noise, and its parts by source."""

    clean: Any
    parts: Mapping[str, Part]


class Ledger(Control):
    """Runs one pass with the noise that is asked for, and keeps the books on it.

    Args:
        setting: what each source draws; one without a law keeps its own draws.
        algebra: how clean values and bases are put through operations.
        on_site: called as `on_site(path, x, entry or None)` with the input of each norm.
    """

    def __init__(
        self,
        *arguments: Any,
        setting: Setting,
        algebra: Algebra,
        on_site: Callable[[str, Tensor, Entry | None], None],
    ) -> None:
        super().__init__(*arguments, names=setting.names, blend=self._replace, on_norm=self._arrive)
        self._setting = setting
        self._algebra = algebra
        self._on_site = on_site
        # By identity, with the tensor kept alive: an address must not be met twice.
        self._entries: dict[int, tuple[Tensor, Entry]] = {}
        self._views: dict[Any, dict[int, Tensor]] = {}  # booked tensors by storage
        self._fresh: tuple[str, Meeting] | None = None

    def entry(self, tensor: Tensor) -> Entry | None:
        """What the books say of a tensor."""
        held = self._entries.get(id(tensor))
        return held[1] if held is not None else None

    def _run(self, operation: Operation) -> None:
        booked = self._booked(operation)
        if operation.name in ops.NORMS or operation.name in ops.BATCH_NORMS:
            super()._run(operation)
            return
        clean = self._algebra.clean(operation, self.entry) if booked else None
        shapes = [value.shape for value, _ in booked]
        self._fresh = None
        super()._run(operation)
        if self._fresh is not None:
            self._enter(operation, booked, *self._fresh)
        elif booked and not operation.draws():
            self._carry_on(operation, booked, shapes, clean)
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
        return silent * drawn(self._setting.laws[name], silent, meeting.sharing)

    def _enter(
        self,
        operation: Operation,
        booked: list[tuple[Tensor, Entry]],
        name: str,
        meeting: Meeting,
    ) -> None:
        """A source enters the books; noise that was in the data before stays in its value."""
        law, silent = self._setting.laws.get(name), meeting.silent
        assert silent is not None
        out = operation.outputs()[0]
        before = {source: part for _, entry in booked for source, part in entry.parts.items()}
        parts: dict[str, Part] = {source: Lost("another noise on top") for source in before}
        clean = self._algebra.enters(operation, silent)
        if name in before and not self._algebra.drawn:
            parts[name] = Lost("another draw of its own on top")
        elif law is None:
            parts[name] = Lost("a noise whose law is not known in closed form")
        else:
            sharing = law.sharing or meeting.sharing
            parts[name] = Base(clean, True, sharing, signed=law.signed)
        self._put(out, Entry(clean, parts))

    # Everything else -----------------------------------------------------------------------

    def _carry_on(
        self,
        operation: Operation,
        booked: list[tuple[Tensor, Entry]],
        shapes: list[torch.Size],
        clean: list[Any] | None,
    ) -> None:
        outputs = operation.outputs()
        if not outputs or not outputs[0].is_floating_point():
            return
        sources = dict.fromkeys(source for _, entry in booked for source in entry.parts)
        parts = {source: self._part(operation, source, booked, shapes) for source in sources}
        for index, out in enumerate(outputs):
            value = clean[index] if clean is not None and index < len(clean) else None
            self._put(out, Entry(value, parts))

    def _part(
        self,
        operation: Operation,
        source: str,
        booked: list[tuple[Tensor, Entry]],
        shapes: list[torch.Size],
    ) -> Part:
        held = [
            (tensor, shape, entry.parts[source])
            for (tensor, entry), shape in zip(booked, shapes, strict=True)
            if source in entry.parts
        ]
        if operation.name == "cat":
            pieces = list(operation.args[0])
            entries = [self.entry(piece) for piece in pieces]
            found = [entry.parts.get(source) if entry else None for entry in entries]
            return joined(operation, found, [piece.shape for piece in pieces], self._algebra)
        if len(held) > 1:
            return Lost(f"{operation.name} of two ways from the same source")
        tensor, shape, part = held[0]
        if len(booked) > 1 and operation.name in ("mul", "div"):
            return Lost(f"{operation.name} of two noisy values")
        at = next((i for i, value in enumerate(operation.args) if value is tensor), -1)
        return part_after(operation, at, shape, part, self._algebra)

    def _booked(self, operation: Operation) -> list[tuple[Tensor, Entry]]:
        if operation.name in ops.SHAPE_ONLY:
            return []
        inputs = tensors_in([operation.args, operation.kwargs])
        found = {id(tensor): tensor for tensor in inputs if id(tensor) in self._entries}
        return [(tensor, self._entries[key][1]) for key, tensor in found.items()]

    def _put(self, tensor: Tensor, entry: Entry) -> None:
        self._entries[id(tensor)] = (tensor, entry)
        self._views.setdefault(storage_key(tensor), {})[id(tensor)] = tensor

    def _spoil(self, written: Tensor) -> None:
        """What the books say of other views of a tensor that was written to is true no more."""
        for key, tensor in self._views.get(storage_key(written), {}).items():
            if tensor is not written:
                sources = self._entries[key][1].parts
                self._entries[key] = (tensor, Entry(None, dict.fromkeys(sources, _WRITTEN)))

    # Norms ---------------------------------------------------------------------------------

    def _arrive(self, call: NormCall) -> None:
        self._on_site(call.path, call.x, self._completed(call.x))

    def _completed(self, x: Tensor) -> Entry | None:
        """The entry of a tensor, with the sources that reach it directly and off the books."""
        entry = self.entry(x)
        parts = dict(entry.parts) if entry is not None else {}
        for source, trails in self._carried.get(x).trails.items():
            name = self.name_of(source)
            if name and name not in self._setting.silenced and not {"a", "b"}.isdisjoint(trails):
                parts.setdefault(name, _UNSEEN)
        return Entry(entry.clean if entry is not None else None, parts) if parts else entry


_WRITTEN = Lost("a write into a part of it")
_UNSEEN = Lost("an operation that does not hand it on as a product")
