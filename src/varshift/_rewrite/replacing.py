"""The verb: other noise in the same places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace as with_fields
from typing import Any

import torch
from torch import nn

from varshift._engine import Data, Forward, copied
from varshift._inspect.inspecting import inspect
from varshift._predict.predicting import predict
from varshift._rewrite.amounts import Aim, What, aims
from varshift._rewrite.journal import Journal
from varshift._rewrite.limits import lowered
from varshift._rewrite.places import places, taken_out
from varshift._rewrite.rates import tau_now
from varshift._rewrite.records import Draft, compiled_anew
from varshift._rewrite.swapping import carry_out
from varshift.errors import ModelError, UsageError
from varshift.results import Prediction, Rewrite, Structure
from varshift.results.note import carried_by_errors, not_given_back
from varshift.theory.noise import drop_p_of

__all__ = ["replace"]


def replace(
    model: nn.Module,
    example: Any,
    noise: Mapping[str, What] | What,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_severity: float | None = None,
    data: Data | None = None,
) -> Rewrite:
    """Let noise sources draw other noise, in place, before training.

    Modules that are nothing but noise are swapped (or given another rate); noise that is written in
    code stays as it is and yields a `Patch`. The keys and values of the state_dict, training flags
    and random generators stay. All or nothing: if anything raises, the model is what it was.

    Args:
        model: any module; compiled and DDP-wrapped ones are looked into.
        example: one batch, as in `inspect`.
        noise: `{glob: what}` over source names and module paths, or one `what` for all sources: a
            drop_p (the layer's class stays), a noise layer (a copy goes into each place), or
            "uout", "gaussian", "dropout", "channel": the same amount of noise, by τ. A silent
            source, such as Dropout(0), is changed only if named in full.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_severity: lower each rate to the largest one that keeps every norm its noise reaches
            directly at most at this predicted severity, with the weights as they are now.
        data: batches to predict from; by default from the example and the checkpoint alone.

    Returns:
        A `Rewrite`: `changes`, `patches`, `severities`, `undo()`.

    Raises:
        UsageError: a glob without a hit, a rate out of range, Uout asked for more than τ = 1/3.
        ModelError, DataError: as in `inspect`; the model is then what it was.

    Example:
        >>> import torch, varshift as vs
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.BatchNorm1d(4))
        >>> r = vs.replace(model, torch.randn(2, 4), "uout")
        >>> r.changes[0].before, r.changes[0].after
        ('Dropout(p=0.2, inplace=False)', 'Uout(beta=0.8660254037844386, inplace=False)')
        >>> r.undo()
        >>> model[0]
        Dropout(p=0.2, inplace=False)
    """
    options: dict[str, Any] = {"forward": forward, "device": device}
    before = inspect(model, example, **options)
    wishes = aims(noise, before)
    draft = Draft()
    for silent in before.noises:
        if not silent.active and silent.name not in wishes:
            draft.say(silent.name, f"draws nothing ({silent.operation}): name it to change it")
    wishes = _known(wishes, before, draft)
    if max_severity is not None:
        # Each prediction reads it, and an iterator may give all its batches in one memory.
        batches = [copied(batch) for batch in data] if isinstance(data, Iterator) else data

        def foretell(asked: Mapping[str, Any]) -> Prediction:
            batch = example if batches is None else None
            return predict(model, batches, example=batch, noise=asked, **options)

        wishes = _limited(wishes, foretell, before, max_severity, draft)
    # Twice: an interrupt in leaving it once, or before the return, would leave no way back.
    with carried_by_errors(before.notes), Journal() as journal, journal:
        found = places(model, example, before, **options)
        with taken_out(carry_out(found, wishes, journal, draft)):
            after = inspect(model, example, **options) if draft.changed else before
        _refuse_unmoved(draft, wishes, after)
        if draft.changed:
            draft.notes += compiled_anew(model, journal)
        elif not draft.patches:
            draft.notes.append("nothing to be done: the sources named draw as asked already")
        draft.notes += not_given_back(before.notes, after.notes)
        return draft.result(before, after, journal)


def _known(wishes: Mapping[str, Aim], before: Structure, draft: Draft) -> dict[str, Aim]:
    """Without the sources whose amount of noise is unknown and was to be matched."""
    found = {}
    for name, aim in wishes.items():
        if aim.tau is None and aim.kind != "layer":
            law = before.noise(name).law
            draft.say(
                name,
                f"how much noise it draws is not known (law: {law}), so no other can match it: "
                "left as it is; ask for a rate or a layer",
            )
        elif before.noise(name).operation == "not reached":
            draft.say(name, "the example never reached it: left as it is")
        else:
            found[name] = aim
    return found


def _limited(
    wishes: Mapping[str, Aim],
    foretell: Callable[[Mapping[str, Any]], Prediction],
    before: Structure,
    bound: float,
    draft: Draft,
) -> dict[str, Aim]:
    """The aims at the τ found; a module that draws at several lines takes its smallest."""
    if not bound > 1:
        raise UsageError(f"max_severity is {bound}; pass a number above 1, such as 1.05")
    asked = {}
    for name, aim in wishes.items():
        source = before.noise(name)
        if source.active and tau_now(source) is None:
            draft.say(name, f"τ is not known (law: {source.law}): max_severity leaves it as it is")
        else:
            asked[name] = aim.asked(source)
    if not before.norms or not asked:
        draft.notes.append("max_severity has nothing to lower, or no norm to lower it for")
        return dict(wishes)
    limited = lowered(foretell, asked, before, bound)
    draft.severities = limited.severities
    for path, text in limited.notes:
        draft.say(path, text)
    paths = {name: before.noise(name).path for name in limited.taus}
    least: dict[str, float] = {}
    for name, tau in limited.taus.items():
        least[paths[name]] = min(tau, least.get(paths[name], tau))
    lower = {name: with_fields(wishes[name], tau=least[paths[name]]) for name in limited.taus}
    return {**wishes, **lower}


def _refuse_unmoved(draft: Draft, wishes: Mapping[str, Aim], after: Structure) -> None:
    """A rate that was set must be the rate that is drawn."""
    now = {noise.name: noise for noise in after.noises if noise.active}
    for path, name, *_ in draft.changed:
        aim, noise = wishes.get(name), now.get(name)
        if aim is None or noise is None or aim.kind != "rate" or aim.tau is None:
            continue
        tau = tau_now(noise)
        if tau is not None and abs(tau - aim.tau) > 1e-6 * (1 + aim.tau):
            raise ModelError(
                f"{path!r} was given drop_p = {drop_p_of(aim.tau):.4g}, but draws at "
                f"{drop_p_of(tau):.4g}: its rate is computed elsewhere; construct it anew"
            )
