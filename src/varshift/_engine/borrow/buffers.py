"""What every pass may write to, put back after every pass: the hot path of all verbs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.borrow.containers import Containers
from varshift._engine.borrow.tensors import KeptTensor, has_values
from varshift._torch.tensors import copy_all

__all__ = ["Buffers"]


class Buffers:
    """All that a pass may write to in these modules, as it is now; `restore()` puts it back.

    That is buffers and whatever else serves as one: tensors in attributes, lists and dicts.
    """

    def __init__(self, modules: Iterable[tuple[str, nn.Module]]) -> None:
        self._bound: list[tuple[dict[str, Any], str, Tensor]] = []
        self._containers: list[Containers] = []
        kept: dict[int, KeptTensor] = {}
        seen: set[int] = set()
        for _, module in modules:
            if isinstance(module, torch.jit.ScriptModule):
                continue
            own = module.__dict__
            for holder in (own["_buffers"], own):
                for name, tensor in holder.items():
                    if isinstance(tensor, Tensor) and has_values(tensor):
                        self._bound.append((holder, name, tensor))
                        kept.setdefault(id(tensor), KeptTensor(tensor))
            within = Containers(own, seen)
            if within.tensors:
                self._containers.append(within)
                for each in within.tensors:
                    kept.setdefault(id(each.tensor), each)
        self._kept = list(kept.values())
        # A comparison would make an accelerator wait; here a tensor that no pass has written is
        # compared, and never written to: its memory may be mapped from a file that is read only.
        self._written = [each for each in self._kept if each.place.device.type != "cpu"]
        self._unwritten = [each for each in self._kept if each.place.device.type == "cpu"]

    def restore(self) -> None:
        """Undo what a pass wrote."""
        for holder, name, tensor in self._bound:
            if holder.get(name) is not tensor:
                holder[name] = tensor
        for within in self._containers:
            within.bind()
        for kept in self._kept:
            kept.put_in_place()
        self._write_back()

    def _write_back(self) -> None:
        if self._written:
            copy_all([kept.place for kept in self._written], [kept.copy for kept in self._written])
        # By the bits: batch norm updates its statistics without touching their version counter.
        changed = [kept for kept in self._unwritten if not kept.bits.same()]
        for kept in changed:
            kept.write()
        if changed:
            ours = {id(kept) for kept in changed if kept.plain}
            self._written += [kept for kept in changed if id(kept) in ours]
            self._unwritten = [kept for kept in self._unwritten if id(kept) not in ours]
