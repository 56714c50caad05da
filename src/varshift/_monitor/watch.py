"""What one trace has shown of a model: which norms noise reaches, and how each is looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from varshift._check.rules.noise import code_of
from varshift._engine import (
    Forward,
    Glance,
    Handle,
    Ranks,
    Recording,
    Regime,
    broadcasts_buffers,
    is_sharded,
    is_synchronised,
    session,
    unwrapped,
)
from varshift._monitor.asleep import Asleep
from varshift._monitor.updates import readable
from varshift.results import Structure

__all__ = ["Watch", "watch"]

_FORGOTTEN = 0.01  # of the initial running variance: what may be left of it at the first look


@dataclass(frozen=True, eq=False)
class Watch:
    """How the norms that noise reaches are looked at.

    Attributes:
        handles: by path, those norms.
        codes: by path, the rule of `check` that the noise before it breaks.
        behind: by path, names of the noise sources.
        glance: for the cheap look; None where a look takes two passes, one in training mode too.
        wait: for how many training batches evaluation still rests on the values that running
            statistics were made with: a look before then would say nothing of the noise.
        asleep: what may take part later in training.
        notes: what a reader must know.
    """

    handles: Mapping[str, Handle]
    codes: Mapping[str, str]
    behind: Mapping[str, tuple[str, ...]]
    glance: Glance | None
    wait: int = 0
    asleep: Asleep | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def stale(self) -> bool:
        """Whether the model has other modules by now."""
        return self.glance is not None and self.glance.stale

    @property
    def woken(self) -> bool:
        """Whether something takes part by now that took none when it was traced."""
        return self.asleep is not None and self.asleep.woken

    @property
    def idle(self) -> bool:
        """Whether there is nothing to be looked at yet."""
        return not self.handles and bool(self.asleep)


def watch(model: nn.Module, batch: Any, forward: Forward | None) -> Watch:
    """Trace one training forward of the batch. The model comes back as it was.

    Raises:
        DataError, ModelError: as `inspect` does.
    """
    met, asleep = Recording("train"), Asleep(model)
    with session(model, forward=forward, sync=False) as run:
        run.once(run.example(batch), Regime("training", record=(met,), structure=True))
        structure = run.structure
    structure = run.noted(structure)
    frozen = {norm.path for norm in structure.norms if norm.frozen}
    reached = dict.fromkeys(route.norm for route in structure.routes if route.norm not in frozen)
    handles = {path: met.handles[path] for path in reached if path in met.handles}
    glance = None
    notes: list[str] = list(structure.notes)
    if handles:
        why = _why_two_passes(model, handles, run.watched)
        if not why:
            glance = Glance(model, handles.values(), forward)
            if not glance.light:
                glance, why = None, "the model's own eval() does more than set flags"
        if why:
            notes.append(f"each look takes a training pass too: {why}")
    return Watch(
        handles,
        {path: _code(structure, path) for path in handles},
        {
            path: tuple(route.noise for route in structure.routes if route.norm == path)
            for path in handles
        },
        glance,
        max((_wait(handle.module) for handle in handles.values()), default=0),
        asleep,
        tuple(notes),
    )


def _code(structure: Structure, path: str) -> str:
    """That of the first route straight into it, else of the first at all."""
    routes = sorted(
        (route for route in structure.routes if route.norm == path),
        key=lambda route: not route.direct,
    )
    stored = {norm.path for norm in structure.norms}
    return code_of(structure.noise(routes[0].noise), routes[0], stored)


def _why_two_passes(model: nn.Module, handles: Mapping[str, Handle], own: frozenset[str]) -> str:
    """Why the batch variance of training cannot be read back from running statistics; "" if so."""
    inner = unwrapped(model)
    if is_sharded(inner):
        return "weights lie on several ranks"
    if broadcasts_buffers(model) and not is_synchronised(inner) and Ranks.of().rank:
        return "in every forward rank 0 sends its statistics to this rank, whose own are lost"
    unread = [path for path, handle in handles.items() if path in own or not readable(handle)]
    if not unread:
        return ""
    more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
    return (
        f"{unread[0]}{more}: running statistics do not give the batch's own variance back (no "
        "BatchNorm by class, or one that computes itself, not counting its batches, half "
        "precision, or a momentum below 0.001)"
    )


def _wait(norm: Any) -> int:
    """Batches until (1 − momentum)^batches is small, less those that it has had."""
    momentum, counted = getattr(norm, "momentum", None), getattr(norm, "num_batches_tracked", None)
    if momentum is None or not 0 < momentum < 1 or counted is None:
        return 0
    return max(0, math.ceil(math.log(_FORGOTTEN) / math.log1p(-momentum)) - int(counted))
