"""The verb: no noise before any norm, one dropout right before the classifier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from varshift._engine import Forward
from varshift._inspect.inspecting import inspect
from varshift._rewrite.heads import Head, find_head
from varshift._rewrite.journal import Journal
from varshift._rewrite.patches import Wish, by_hand, patched
from varshift._rewrite.places import Place, places, taken_out
from varshift._rewrite.records import Draft, compiled_anew
from varshift._rewrite.replanting import NAME, plant
from varshift._torch.classes import Dropout
from varshift.errors import UsageError, listed
from varshift.results import Noise, Rewrite, Structure
from varshift.results.note import carried_by_errors, not_given_back
from varshift.theory.noise import tau_of

__all__ = ["relocate"]

_DEFAULT = 0.5
_DECIDES = (
    "decides in Python what runs (such as layer drop): what it reaches is not followed, and clean "
    "says nothing of it; switch it off by hand"
)


def relocate(
    model: nn.Module,
    example: Any,
    *,
    drop_p: float | None = None,
    before: str | None = None,
    only: Iterable[str] | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
) -> Rewrite:
    """Take all noise out from before the norms and put one dropout after the last of them.

    In place, before training; the remedy of [li2019disharmony, sec. 5.1]. Noise with any route to a
    norm is silenced: dropout layers get p = 0, other pure noise layers become nn.Identity(), what
    is written in code yields a `Patch`. Noise after the last norm stays. The new dropout is a child
    `noise_before` of the classifier, run by a forward pre-hook: the keys of the state_dict and the
    classes of all modules stay. All or nothing: if anything raises, the model is what it was.

    Args:
        model: any module; compiled and DDP-wrapped ones are looked into.
        example: one batch, as in `inspect`.
        drop_p: rate of the new dropout; by default the largest rate known of what is silenced,
            else 0.5. 0 adds none.
        before: path of the module that it goes before; by default the last module with weights
            that runs after the last norm. If noise stands there already, none is added.
        only: names of noise sources, as `inspect` gives them, that are to go; by default all with
            a route to a norm. The others stay, and `clean` says no.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put the example; by default where the model is.

    Returns:
        A `Rewrite`: `changes`, `added`, `patches`, `clean`, `undo()`.

    Raises:
        UsageError: no module `before`, it runs before a norm, a rate out of range, or a name in
            `only` of which no noise reaches a norm.
        ModelError, DataError: as in `inspect`; the model is then what it was.

    Example:
        >>> import torch, varshift as vs
        >>> model = torch.nn.Sequential(
        ...     torch.nn.Dropout(0.3), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)
        ... )
        >>> r = vs.relocate(model, torch.randn(2, 4))
        >>> r.clean, r.added, model[0], model[2].noise_before
        (True, '2', Dropout(p=0.0, inplace=False), Dropout(p=0.3, inplace=False))
        >>> list(model.state_dict())[-2:]
        ['2.weight', '2.bias']
    """
    if drop_p is not None:
        tau_of(drop_p)  # refuses what is no rate
    options: dict[str, Any] = {"forward": forward, "device": device}
    found = inspect(model, example, **options)
    routed = _chosen({route.noise for route in found.routes}, only)
    draft = Draft()
    # Twice: an interrupt in leaving it once, or before the return, would leave no way back.
    with carried_by_errors(found.notes), Journal() as journal, journal:
        head = find_head(model, example, before, **options)
        olds: list[nn.Module] = []
        for place in places(model, example, found, **options) if routed else []:
            olds += _silence(place, routed, journal, draft)
        if found.norms and (routed or drop_p is not None):
            _add(journal, draft, head, found, routed, drop_p)
        touched = draft.changed or draft.added is not None
        with taken_out(olds):
            after = inspect(model, example, **options) if touched else found
        _refuse_before_norm(draft, after)
        if touched:
            draft.notes += compiled_anew(model, journal)
        elif not draft.patches:
            draft.notes.append("nothing to be done: no noise reaches a norm")
        draft.patches += [by_hand(noise, _DECIDES) for noise in found.noises if _decides(noise)]
        draft.notes += [
            *_elsewhere(draft, found.noises, routed),
            *not_given_back(found.notes, after.notes),
        ]
        return draft.result(found, after, journal)


def _chosen(routed: set[str], only: Iterable[str] | None) -> set[str]:
    if only is None:
        return routed
    wanted = {only} if isinstance(only, str) else set(only)
    if unknown := sorted(wanted - routed):
        raise UsageError(
            f"only={unknown[0]!r} is no noise that reaches a norm; these do: "
            f"{listed(sorted(routed))}"
        )
    return wanted


def _silence(place: Place, routed: set[str], journal: Journal, draft: Draft) -> list[nn.Module]:
    """Let a place draw nothing; the module that was taken out, if one was, is returned."""
    module, sources = place.module, [noise for noise in place.noises if noise.name in routed]
    if not sources:
        return []
    said = repr(module)
    if place.plain is not None:
        plain = place.said(0.0)
        journal.set(module, "dropout", 0.0)
        draft.change(place, *plain)
        return []
    if not place.pure:
        draft.patches += [patched(source, Wish(None), module) for source in sources]
        return []
    for name in _lost(place, routed):
        draft.say(name, "drawn by the same module as noise before a norm, so it is off too")
    if isinstance(module, Dropout):
        journal.set(module, "p", 0.0)
        draft.change(place, said, repr(module))
        return []
    identity = nn.Identity()
    identity.training = module.training
    journal.swap(place.homes, module, identity)
    draft.change(place, said, repr(identity))
    draft.say_of(place)
    return [module]


def _add(
    journal: Journal,
    draft: Draft,
    head: Head | None,
    found: Structure,
    routed: set[str],
    drop_p: float | None,
) -> None:
    """Put the dropout before the classifier, unless noise stands there."""
    rates = [noise.drop_p for noise in found.noises if noise.name in routed]
    known = [rate for rate in rates if rate is not None and 0 < rate < 1]
    rate = max(known, default=_DEFAULT) if drop_p is None else drop_p
    if head is None:
        draft.notes.append(
            "no module with weights runs after the last norm: no dropout was added; name a place "
            "with before="
        )
        return
    silenced = routed | {name for _, name, *_ in draft.changed}
    there = sorted(head.noises - silenced)
    if there:
        draft.notes.append(
            f"{there[0]} draws right before {head.path} already: no dropout was added"
        )
    elif rate > 0:
        plant(journal, head.module, head.path, rate)
        draft.added = head.path


def _decides(noise: Noise) -> bool:
    return noise.active and noise.law == "control-flow"


def _lost(place: Place, routed: set[str]) -> list[str]:
    return [noise.name for noise in place.noises if noise.active and noise.name not in routed]


def _refuse_before_norm(draft: Draft, after: Structure) -> None:
    name = f"{draft.added}.{NAME}"
    hit = [route.norm for route in after.routes if route.noise.partition("#")[0] == name]
    if draft.added is not None and hit:
        raise UsageError(
            f"{draft.added!r} runs before the norm {hit[0]!r}: a dropout there would shift it; "
            "name a module after the last norm with before="
        )


def _elsewhere(draft: Draft, noises: tuple[Noise, ...], routed: set[str]) -> list[str]:
    """Noise after the last norm that a patch would take out too, being drawn at the same line."""
    lines = {patch.line for patch in draft.patches if patch.new is not None}
    return [
        f"{noise.name}: drawn at {noise.line} like noise before a norm; the patch takes it out too"
        for noise in noises
        if noise.active and noise.name not in routed and noise.line in lines and noise.line
    ]
