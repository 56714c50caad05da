"""A finished trace becomes a Structure: noises, norms, routes, and what could not be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import nn

from varshift._engine.batches import Batch, Forward
from varshift._engine.borrow.model import unwrapped
from varshift._engine.borrow.rng import State
from varshift._engine.prove import prove
from varshift._engine.sites import Inventory, Untracked
from varshift._engine.subject import subject_of
from varshift._engine.trace.noises import named, silent_noises
from varshift._engine.trace.tracer import SiteSeen, Tracer
from varshift._engine.trace.trails import Reached, Trail
from varshift._engine.trace.zeroed import zeroed_noises
from varshift._engine.unread import unread
from varshift._engine.watched import watched_norms
from varshift._torch.compiler import compiled
from varshift.results import Layer, Noise, Norm, Note, NoteKind, Proof, Route, Structure
from varshift.results.structure import Placement

__all__ = ["traced"]

_ORDER: tuple[Placement, ...] = ("a", "b", "through-norm")


def traced(
    model: nn.Module,
    tracer: Tracer,
    batch: Batch,
    forward: Forward | None,
    start: State,
    moved: tuple[str, ...] = (),
    ahead: tuple[Note, ...] = (),
    written: tuple[str, ...] = (),
) -> Structure:
    """The Structure of a finished trace; `moved` names the random generators that the pass used.

    `start` are the states of all of them before it. `ahead` is said of what met data in training
    alone, and is no noise. `written`: tensors that the pass has changed, in a model without norms.
    """
    inner = unwrapped(model)
    sources = named(tracer.sources)
    noises = [source.noise(name) for name, source in sources.items() if not source.aside]
    held = tracer.modules.held
    silent = silent_noises(
        held.registered, {source.path for source in tracer.sources}, tracer.modules.called
    )
    noises += [*silent, *zeroed_noises(tracer.sources, tracer.zeroed.values(), silent)]
    followed = {source.generator for source in tracer.sources if not source.aside}
    outside = [name for name in moved if name in ("python", "numpy")]
    noises += [_python_draw(name) for name in outside if name not in followed]
    norms = _norms(held, tracer)
    routes = tuple(_routes(list(sources), norms, tracer.routes))

    def proof(_: Structure, route: Route) -> Proof:
        return prove(model, batch, forward, route, sources[route.noise], start)

    notes = (*tracer.notes, *ahead, *_notes(model, held, tracer, norms, moved, written))
    return Structure(tuple(noises), tuple(norms), routes, notes, proof, subject_of(inner))


def _routes(names: list[str], norms: list[Norm], reached: Mapping[str, Reached]) -> Iterator[Route]:
    """By norm, then by source. Many sources have come the same way, which is told once."""
    layers: dict[Trail, tuple[Layer, ...]] = {}
    for norm in norms:
        for source, trails in sorted(reached.get(norm.path, {}).items()):
            found = {trail.placement: trail for trail in trails}
            placements = tuple(placement for placement in _ORDER if placement in found)
            first = found[placements[0]]
            if first not in layers:
                layers[first] = first.layers()
            yield Route(names[source], norm.path, placements[0], placements, layers[first])


def _norms(held: Inventory, tracer: Tracer) -> list[Norm]:
    registered = {id(module) for _, module in held.registered}
    reached = [
        Norm(
            path=seen.path,
            kind=seen.kind,
            channels=seen.channels,
            momentum=_momentum(seen),
            eps=seen.eps,
            affine=seen.affine,
            frozen=seen.frozen,
            calls=seen.calls,
            registered=id(seen.owner) in registered and not seen.stray,
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
        for path, handle in held.handles.items()
        if handle.certain
        and handle.registered
        and path not in tracer.sites
        and path not in tracer.modules.called
    ]
    return reached + unreached


def _momentum(seen: SiteSeen) -> float | None:
    """Of a norm, in torch's sense."""
    named = getattr(seen.owner, "momentum", seen.momentum)
    # With momentum=None the operation is handed an average. Else what it is handed counts: the
    # attribute of a module that calls it by hand may have the meaning of another framework.
    told = named is None or seen.momentum is None or (seen.frozen and not seen.by_module)
    return named if told else seen.momentum


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
    model: nn.Module,
    held: Inventory,
    tracer: Tracer,
    norms: list[Norm],
    moved: tuple[str, ...],
    written: tuple[str, ...],
) -> Iterator[Note]:
    for name in moved:
        if name in ("python", "numpy"):
            yield Note(
                f"the forward pass drew from {name}'s own random generator, which torch cannot "
                "see: a layer drop or augmentation inside the model is not followed",
                NoteKind.OUTSIDE_DRAW,
            )
    by_hand = _by_hand(held, tracer)
    if not norms and not by_hand and not _other_norms(held):
        if written:
            yield unread(written, bool(tracer.sources))
        else:
            sentence = "no normalisation with running statistics: nothing can shift here"
            yield Note(sentence, NoteKind.NO_NORM)
    for norm in norms:
        if not norm.registered:
            yield Note(
                f"{norm.path}: no module holds this norm (it lies in a plain list, an object or a "
                "closure, or is made in forward): eval() does not reach it, and state_dict() does "
                "not save it; hold it in nn.ModuleList, or as an attribute",
                NoteKind.NOT_REGISTERED,
                norm.path,
            )
        if norm.calls == 0:
            sentence = f"{norm.path}: the example never reached it"
            yield Note(sentence, NoteKind.UNREACHED, norm.path)
    for path, reason in held.untracked.items():
        if path in tracer.sites:
            continue
        yield Note(f"{path}: {reason}", NoteKind.UNTRACKED, path)
    for path in by_hand:
        yield Note(
            f"{path}: holds running statistics, but was not met as a norm (not reached, or nothing "
            "that it was given has so many channels): not followed",
            NoteKind.BY_HAND,
            path,
        )
    for name, module in held.registered:
        if isinstance(module, torch.jit.ScriptModule) and "." not in name:
            sentence = f"{name}: scripted, so that its inner paths and lines are unknown"
            yield Note(sentence, NoteKind.SCRIPTED, name)
    modules = [model, *(module for _, module in held.registered)]
    if any(compiled(module) for module in modules):
        yield Note("compiled parts were run eagerly for the inspection", NoteKind.COMPILED)


def _by_hand(held: Inventory, tracer: Tracer) -> list[str]:
    """Paths of what holds running statistics and was not met as a norm.

    Of a BatchNorm that was not reached either, that is what is said.
    """
    holding = [path for path, each in held.handles.items() if each.registered]
    unreached = {p for p, each in held.handles.items() if each.certain} - tracer.modules.called
    found = dict.fromkeys([*holding, *_watched(held)])
    return [path for path in found if path not in tracer.sites and path not in unreached]


def _watched(held: Inventory) -> Iterator[str]:
    registered = {path for path, _ in held.registered}
    yield from (p for p in watched_norms(held) if p not in held.untracked and p in registered)


def _other_norms(held: Inventory) -> bool:
    """Whether something may shift that is no norm site: what is scripted, or goes by samples."""
    scripted = any(isinstance(module, torch.jit.ScriptModule) for _, module in held.registered)
    return scripted or any(why is not Untracked.BATCH_ALONE for why in held.untracked.values())
