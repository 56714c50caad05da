"""From a session and its batches to what the norms remember."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from varshift._counting import counted, counted_names, verb
from varshift._engine import Batch, Held, Session, norm_handles, untracked, walk
from varshift._footprint.fitting import Estimates
from varshift._footprint.memory import Memory, Momentum, remembered
from varshift._footprint.passes import PassSetting, Received, noisy_pass
from varshift._footprint.places import dropouts, likely_places
from varshift._footprint.routes import PassOrder, PlaceReach, meet, routes
from varshift._footprint.settling import MOST_PASSES, SETTLED, Settling
from varshift._footprint.silence import silence
from varshift._footprint.verdict import judged
from varshift.errors import DataError, ModelError, UsageError
from varshift.results import Footprint, FootprintSite
from varshift.results.footprint import POOR_FIT

__all__ = ["read"]

T = TypeVar("T")

_LEAST_BATCHES = 4
_POOR = (
    "at {} of {} ({}) the channels agree on no single amount of noise. Possible causes: the noise "
    "stood elsewhere (name the place in places=), the data differ from those of training, or the "
    "weights still moved at its end"
)
_SUPPOSED = (
    "{} {} momentum 0 and yet other statistics than as made, as after a conversion. How many "
    "batches these remember is not known: torch's momentum of 0.1 is assumed; pass momentum= for "
    "another"
)


def read(
    run: Session, held: Held, asked: list[str] | None, momentum: Momentum, free: bool
) -> Footprint:
    """The estimate over batches that are held; `free`: the scale of each norm is not known."""
    if held.batches < _LEAST_BATCHES:
        raise DataError(
            f"data gave {counted(held.batches, 'batch')}, and the error is estimated from their "
            f"scatter; pass at least {_LEAST_BATCHES}, of the size used in training"
        )
    first = next(iter(held.own), None)
    flags, notes = silence(run, first)
    met = _shared(run, None if first is None else meet(run, first, flags))
    memories, skipped = _memories(run, met, momentum)
    run.report.begin(f"fitting the noise, at most {MOST_PASSES} passes")
    seen = _received(PassSetting(run, flags, tuple(memories), {}), held, memories, skipped)
    tried = _tried(run, met, asked)
    if asked is not None:  # of those that do the same as a place it is told what the code has
        tried = [*tried, *(each for each in dropouts(run.model) if each in met.given)]
    own = None if first is None else routes(run, first, flags, met, tried, list(memories))
    ways = [way for way in _shared(run, own) if asked is None or way.path in asked]
    _refuse_unreached(asked, ways, skipped)
    places = [place for route in ways for place in route.noises]
    numbers = {place: number for number, place in enumerate(places)}
    estimate = Settling(
        setting=PassSetting(run, flags, tuple(memories), numbers),
        data=held.own,
        memories=memories,
        routes=ways,
        free=free,
        asked=asked is not None,
        skipped=skipped,
        passes=1,
    )
    return _result(estimate, estimate.settle(seen), held, notes)


def _shared(run: Session, own: T | None) -> T:
    """What the first rank that has data has found, on every rank."""
    return next(each for each in run.ranks.gather(own) if each is not None)


def _memories(
    run: Session, met: PassOrder, momentum: Momentum
) -> tuple[dict[str, Memory], dict[str, str]]:
    """What each norm remembers, in the order data reaches them; those that nothing is known of."""
    skipped = _unfit(run, met)
    modules = dict(walk(run.model))
    found: dict[str, Memory] = {}
    for path in (path for path in met.norm_calls if path not in skipped):
        memory = remembered(modules[path], momentum)
        if isinstance(memory, str):
            skipped[path] = memory
        else:
            found[path] = memory
    _refuse_none(found, skipped)
    return found, skipped


def _unfit(run: Session, met: PassOrder) -> dict[str, str]:
    """Norm sites that nothing can be said about, wherever noise stood."""
    skipped = {path: why.value for path, why in untracked(run.model).items()}
    handles = norm_handles(run.model)
    for path, handle in handles.items():
        if handle.certain and path not in met.norm_calls:
            skipped[path] = "no batch reached it"
    for path, calls in met.norm_calls.items():
        if path not in handles:
            skipped[path] = "its statistics belong to no BatchNorm module"
        elif path in met.frozen:
            skipped[path] = "frozen (in eval mode): its statistics were not taken in this training"
        elif calls > 1:
            skipped[path] = f"runs {calls} times a pass: its statistics mix several inputs"
    return skipped


def _refuse_none(memories: dict[str, Memory], skipped: dict[str, str]) -> None:
    if memories:
        return
    text = "the model has no BatchNorm whose stored variance could remember noise"
    if skipped:
        path, reason = next(iter(skipped.items()))
        text += f" ({path}: {reason})"
    raise ModelError(text)


def _received(
    setting: PassSetting, held: Held, memories: dict[str, Memory], skipped: dict[str, str]
) -> dict[str, Received]:
    """What the norms receive without noise; leaves out those that some batches do not reach."""

    def step(done: int, batch: Batch) -> None:
        setting.run.report.draw(done / len(held.own), MOST_PASSES)

    seen = noisy_pass(setting, {}, held.own, step)
    setting.run.report(1, MOST_PASSES)
    for path in list(memories):
        met = len(seen[path].variances)
        if met < held.batches:
            skipped[path] = f"reached by {met} of {counted(held.batches, 'batch')}, not by all"
            del memories[path], seen[path]
    _refuse_none(memories, skipped)
    return seen


def _tried(run: Session, met: PassOrder, asked: list[str] | None) -> list[str]:
    """The paths on whose input noise is tried, all of which numbers went into."""
    if asked is None:
        return [path for path in likely_places(run.model) if path in met.given]
    for path in asked:
        if path not in met.order and f"norm {path}" not in met.order:
            raise UsageError(f"places names {path!r}, but no batch reached it; leave it out")
        if path not in met.given:
            raise UsageError(
                f"places names {path!r}, which got no tensor of numbers as its first argument, so "
                "no noise can be put on its input; leave it out"
            )
    return asked


def _refuse_unreached(
    asked: list[str] | None, ways: list[PlaceReach], skipped: dict[str, str]
) -> None:
    found = {name for route in ways for name in (route.path, *route.alike)}
    for path in asked or ():
        if path in skipped:
            raise UsageError(
                f"places names {path!r}, but it cannot be judged: {skipped[path]}; leave it out"
            )
        if path not in found:
            raise UsageError(
                f"places names {path!r}, but noise on its input reaches no BatchNorm that could "
                "remember it; name a module further up"
            )


def _result(estimate: Settling, fitted: Estimates, held: Held, notes: list[str]) -> Footprint:
    records = judged(estimate, fitted)
    sites: dict[str, FootprintSite] = {}
    for record in sorted(records, key=lambda each: -each.added):
        sites.setdefault(record.path, record)
    skipped = dict(estimate.skipped)
    for path in estimate.memories:
        if path not in sites:
            skipped[path] = "no place was named for it"
    return Footprint(
        sites={path: sites[path] for path in estimate.memories if path in sites},
        skipped=skipped,
        notes=(*notes, *_notes(estimate, sites)),
        samples=held.samples,
        batches=held.batches,
        passes=estimate.passes,
        further=tuple(each for each in records if sites[each.path] is not each),
    )


def _notes(estimate: Settling, sites: dict[str, FootprintSite]) -> Iterator[str]:
    if supposed := [path for path, memory in estimate.memories.items() if memory.supposed]:
        yield _SUPPOSED.format(counted_names(supposed, "norm"), verb(len(supposed), "have"))
    if estimate.moved > SETTLED:
        yield f"the estimates still moved after {counted(estimate.passes, 'pass')}"
    if odd := [path for path, site in sites.items() if site.misfit > POOR_FIT]:
        yield _POOR.format(len(odd), counted(len(sites), "norm"), ", ".join(odd[:5]))
