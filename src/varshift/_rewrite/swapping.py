"""Carry out what is asked: another rate, another module, or a patch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import nn

from varshift._rewrite.amounts import Aim
from varshift._rewrite.journal import Journal
from varshift._rewrite.patches import by_hand, patched
from varshift._rewrite.places import Place
from varshift._rewrite.rates import number_of, rate_of, tau_now
from varshift._rewrite.records import Draft
from varshift.errors import UsageError
from varshift.results import Noise, Patch

__all__ = ["carry_out"]


def carry_out(
    found: list[Place], wishes: Mapping[str, Aim], journal: Journal, draft: Draft
) -> list[nn.Module]:
    """Make every change; the modules that were taken out are returned."""
    olds = []
    for place in found:
        sources = [noise for noise in place.noises if noise.name in wishes]
        if not sources:
            continue
        if place.plain is not None:
            _set_plain(place, sources, _one(place, sources, wishes), journal, draft)
        elif place.pure:
            olds += _change(place, sources, _one(place, sources, wishes), journal, draft)
        else:
            for source in sources:
                draft.patches += _patches(source, wishes[source.name], place.module)
    return olds


def _one(place: Place, sources: list[Noise], wishes: Mapping[str, Aim]) -> Aim:
    """What is asked of a module, which may draw at several lines."""
    first, *others = [wishes[noise.name] for noise in sources]
    if any(aim.kind != first.kind or aim.prototype is not first.prototype for aim in others):
        names = ", ".join(noise.name for noise in sources)
        raise UsageError(
            f"{place.path!r} draws at several lines ({names}), but it is one module and can hold "
            "one noise; ask the same of all"
        )
    taus = [aim.tau for aim in (first, *others) if aim.tau is not None]
    return replace(first, tau=min(taus)) if taus else first


def _change(
    place: Place, sources: list[Noise], aim: Aim, journal: Journal, draft: Draft
) -> list[nn.Module]:
    """Another rate where the class stays, else another module in every place of the old one."""
    old, source = place.module, sources[0]
    name = rate_of(old, source.drop_p)
    new = old if aim.kind == "rate" else aim.layer(source, old, place.ranks)
    if type(new) is type(old) and aim.kind != "layer":
        if name is None:
            for line in sources:
                draft.patches += _patches(line, aim, old)
        elif (rate := number_of(name, aim.tau or 0.0, source)) != getattr(old, name):
            said = repr(old)
            journal.set(old, name, rate)
            draft.change(place, said, repr(old))
        return []
    journal.swap(place.homes, old, new)
    draft.change(place, repr(old), repr(new))
    draft.say_of(place)
    if aim.sharing is not None and source.sharing not in (aim.sharing, "other"):
        draft.say(
            place.path,
            f"one draw served each {source.sharing}, now each {aim.sharing}: the same τ shifts a "
            "norm alike where the noise reaches it directly, but not through weights",
        )
    return [old]


def _set_plain(
    place: Place, sources: list[Noise], aim: Aim, journal: Journal, draft: Draft
) -> None:
    """Torch's own attention and recurrent layers: their rate is a plain number."""
    same = aim.kind in ("rate", "dropout") or type(aim.prototype) in (nn.Dropout, nn.Identity)
    if not same or aim.tau is None:
        kind = type(place.module).__name__
        why = f"{place.path} ({kind}) can draw nothing but dropout: set its dropout to another rate"
        draft.patches += [by_hand(source, why) for source in sources]
        return
    drop_p = number_of("dropout", aim.tau, sources[0])
    if drop_p != place.plain:
        said = place.said(drop_p)
        journal.set(place.module, "dropout", drop_p)
        draft.change(place, *said)


def _patches(source: Noise, aim: Aim, module: nn.Module) -> list[Patch]:
    """The patch of a source in code; none where it draws what is asked already."""
    wish = aim.wish(source)
    if wish is None:
        what = "channel-wise dropout" if aim.prototype is None else repr(aim.prototype)
        return [by_hand(source, f"written in code: put {what} in its place by hand")]
    now = tau_now(source)
    own = wish.function is None and wish.tau is not None and now is not None
    if own and abs((wish.tau or 0.0) - (now or 0.0)) <= 1e-9:
        return []
    return [patched(source, wish, module)]
