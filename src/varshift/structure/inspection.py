"""The verb: one traced training pass becomes a Structure."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from varshift.lending import (
    Batch,
    Forward,
    Progress,
    borrowed,
    call,
    drawn_from,
    one_batch,
    reporter,
    rng_state,
    subject_of,
    unwrapped,
    walk,
)
from varshift.structure.flow import Trails
from varshift.structure.prove import prove
from varshift.structure.results import Noise, Norm, Placement, Proof, Route, Structure
from varshift.structure.sites import norm_handles, untracked
from varshift.structure.sources import named, silent_noises
from varshift.structure.trace import Tracer, tracing
from varshift.structure.zeroed import zeroed_noises

__all__ = ["inspect", "traced"]

_ORDER: tuple[Placement, ...] = ("a", "b", "through-norm")


def inspect(
    model: nn.Module,
    example: Any,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    progress: Progress = None,
) -> Structure:
    """Find the noise sources, the norm sites and the routes between them in one training pass.

    The model runs once, without gradients, as in training: lent in train mode it keeps every flag
    (a frozen BatchNorm stays frozen); lent in eval mode it is switched by `model.train()`. It
    comes back as it was.

    Args:
        model: any module; compiled and DDP-wrapped ones are looked into.
        example: one batch: a tensor, a tuple or list whose first item is the input, or a dict
            passed as keywords. Two samples are enough.
        forward: `lambda model, batch: …` for anything else.
        device: where to put the example; by default where the model is.
        progress: True for a bar of the modules run, seen after two seconds, or a callable
            `(passes done, passes in all)`.

    Returns:
        A `Structure`: `noises`, `norms`, `routes`, and `notes` on what could not be followed.

    Raises:
        ModelError: the model raised; the message says in which module.
        DataError: the example is of no known form, or holds NaN or infinity.

    Example:
        >>> import torch, varshift as vs
        >>> model = torch.nn.Sequential(
        ...     torch.nn.Dropout(0.5), torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)
        ... )
        >>> s = vs.inspect(model, torch.randn(2, 8))
        >>> [(r.noise, r.norm, r.placement) for r in s.routes]
        [('0', '2', 'b')]
        >>> bool(s.prove(s.routes[0]))
        True
    """
    with borrowed(model) as inner, reporter(progress, "tracing modules", after=2) as report:
        batch = one_batch(example, inner, forward=forward, device=device)
        if not inner.training:
            inner.train()
        before = rng_state()
        # Only drawn: a callback must neither run nor raise inside the pass that is traced.
        with tracing(inner, batch.value, report.draw) as tracer:
            call(inner, batch, forward)
        moved = drawn_from(before, rng_state())
        report.tell(1, 1)
    return traced(model, tracer, batch, forward, moved)


def traced(
    model: nn.Module,
    tracer: Tracer,
    batch: Batch,
    forward: Forward | None,
    moved: tuple[str, ...] = (),
) -> Structure:
    """The Structure of a finished trace; `moved` names the random generators that the pass used."""
    inner = unwrapped(model)
    sources = named(tracer.sources)
    noises = [source.noise(name) for name, source in sources.items()]
    silent = silent_noises(inner, {source.path for source in tracer.sources}, tracer.modules.called)
    noises += [*silent, *zeroed_noises(tracer.sources, tracer.zeroed.values(), silent)]
    noises += [_python_draw(name) for name in moved if name in ("python", "numpy")]
    norms = _norms(inner, tracer)
    names = list(sources)
    routes = [
        _route(names[source], path, trails) for (source, path), trails in tracer.routes.items()
    ]
    norm_order = {norm.path: place for place, norm in enumerate(norms)}
    routes.sort(key=lambda route: (norm_order[route.norm], names.index(route.noise)))
    draws = {name: frozenset(source.draws) for name, source in sources.items()}

    def proof(_: Structure, route: Route) -> Proof:
        return prove(model, batch, forward, route, draws[route.noise])

    notes = (*tracer.notes, *_notes(model, inner, tracer, norms, moved))
    return Structure(tuple(noises), tuple(norms), tuple(routes), notes, proof, subject_of(inner))


def _route(noise: str, norm: str, trails: Trails) -> Route:
    placements = tuple(placement for placement in _ORDER if placement in trails)
    trail = trails[placements[0]]
    return Route(noise, norm, placements[0], placements, trail.layers())


def _norms(model: nn.Module, tracer: Tracer) -> list[Norm]:
    reached = [
        Norm(
            path=seen.path,
            kind=type(seen.owner).__name__
            if hasattr(seen.owner, "running_mean")
            else "F.batch_norm",
            channels=seen.channels,
            # The module's own attribute: with momentum=None the operation is handed an average.
            momentum=getattr(seen.owner, "momentum", seen.momentum),
            eps=seen.eps,
            affine=seen.affine,
            frozen=seen.frozen,
            calls=seen.calls,
        )
        for seen in tracer.sites.values()
    ]
    unreached = [
        Norm(
            path=path,
            kind=type(handle.module).__name__,
            channels=handle.running_mean.numel(),
            momentum=getattr(handle.module, "momentum", None),
            eps=float(getattr(handle.module, "eps", 0.0)),
            affine=getattr(handle.module, "weight", None) is not None,
            frozen=not handle.module.training,
            calls=0,
        )
        for path, handle in norm_handles(model).items()
        if path not in tracer.sites and handle.certain
    ]
    return reached + unreached


def _python_draw(generator: str) -> Noise:
    return Noise(
        name=f"({generator} random)",
        path="",
        module="",
        operation=f"{generator} random",
        law="control-flow",
        drop_p=None,
        tau=None,
        sharing="other",
        active=True,
        calls=1,
        line=None,
    )


def _notes(
    model: nn.Module, inner: nn.Module, tracer: Tracer, norms: list[Norm], moved: tuple[str, ...]
) -> list[str]:
    notes = [
        f"the forward pass drew from {name}'s own random generator, which torch cannot see: a "
        "layer drop or augmentation inside the model is not followed"
        for name in moved
        if name in ("python", "numpy")
    ]
    if not norms:
        notes.append("no normalisation with running statistics: nothing can shift here")
    notes += [f"{norm.path}: the example never reached it" for norm in norms if norm.calls == 0]
    notes += [f"{path}: {reason}" for path, reason in untracked(inner).items()]
    notes += [
        f"{path}: holds running statistics, but no batch-norm operation read them (normalised by "
        "hand, or not reached): not followed"
        for path, handle in norm_handles(inner).items()
        if not handle.certain and path not in tracer.sites
    ]
    notes += [
        f"{name}: scripted, seen from outside only: its inner paths and lines are unknown"
        for name, module in walk(inner)
        if isinstance(module, torch.jit.ScriptModule) and "." not in name
    ]
    if any(
        type(module).__name__ == "OptimizedModule"
        for module in [model, *(module for _, module in walk(inner))]
    ):
        notes.append("compiled parts were run eagerly for the inspection")
    return notes
