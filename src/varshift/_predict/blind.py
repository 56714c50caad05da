"""Prediction without data: stored statistics, weights, γ and β, and what one example shows.

What a checkpoint says is right whatever the example holds, as far as it goes. An example like the
data of training corrects it and goes further; one that is not like them only shows the ways.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from varshift._counting import counted
from varshift._engine import Batch, Recorder, Regime, Session
from varshift._predict.believing import BlindLedger
from varshift._predict.checkpoint import HOMELESS, Checkpoint, is_fresh
from varshift._predict.example import AT_TEST, Shown, shown_by
from varshift._predict.ledgers import Ledgers
from varshift._predict.likeness import Likeness
from varshift._predict.means import Means, left_out, means_at_test
from varshift._predict.setting import Setting, refuse_nothing
from varshift._predict.weighing import Weighing
from varshift.errors import listed
from varshift.results import Expected, Prediction, Structure

__all__ = ["blind_prediction"]


def blind_prediction(
    run: Session,
    example: Any,
    noise: Mapping[str, Any] | None,
    moved: Mapping[str, str] | None,
) -> Prediction:
    """What the stored statistics and the weights say, and the example.

    For the checkpoint one pass. One more under other noise: the stored statistics first give the
    signal under the noise they were made with. And one more where the model draws what decides its
    way, which only a finished pass has shown; no example says what such a model does.
    """
    batch = run.example(example)
    first = Checkpoint.of(run.model)
    by_batch = Likeness({path: each for path, each in first.handles.items() if not is_fresh(each)})

    def passed(books: Checkpoint, setting: Setting, *beside: Recorder) -> Checkpoint:
        ledgers = Ledgers(partial(BlindLedger, books=books), setting, run.names)
        books.ledger = lambda: ledgers.now
        regime = Regime(
            "training",
            record=(books, *beside),
            control=ledgers,
            insert=ledgers.plants(),
            structure=True,
        )
        try:
            run.once(batch, regime, run.report.draw)
        finally:
            del books.ledger  # it holds the model, and the ledgers hold these books
        return books

    found = passed(first, Setting(), by_batch)
    if run.trace is not None and run.trace.ahead.kept:  # only a finished pass shows masks kept
        found = passed(Checkpoint.of(run.model), Setting())
    structure = run.structure
    refuse_nothing(structure)
    setting = Setting.of(structure, noise, moved, run.model, run.twice)
    out = left_out(run, [batch], setting.changed | setting.silenced)
    setting = replace(setting, left_out=out)
    again = partial(_again, found, structure)
    wild = any(source.active and source.law == "control-flow" for source in structure.noises)
    done, passes = 1, 1 + wild + (not setting.as_it_is)
    run.report.tell(done, passes)
    if wild:
        run.report.begin("predicting module by module")
        found = passed(again(wild=True), Setting())
        done += 1
        run.report.tell(done, passes)
    if not setting.as_it_is:
        run.report.begin("predicting module by module")
        known = {path: site.signal for path, site in found.sites.items()}
        again = partial(again, known=known, anywhere=bool(setting.plants))
        found = passed(again(wild=wild), setting)
        run.report.tell(passes, passes)
    shown = None
    # Where no norm was trained or no noise reaches any, an example has nothing to show.
    if by_batch.handles and found.through and not wild:
        if run.ranks.several:
            by_batch.joined(run.ranks.gather(by_batch.share()))
        shown = shown_by(run, batch, by_batch, setting)
    lasting = _lasting(run, batch) - setting.changed
    if lasting:
        found = passed(again(wild=wild, lasting=lasting), setting)
    means = Means({})
    if found.sites and not wild:
        active = frozenset(source.name for source in structure.noises if source.active)
        means = means_at_test(run, batch, active, setting.left_out)
    found.sites = {path: means.moved(site) for path, site in found.sites.items()}
    return _made(structure, setting, found, shown, [*_of_lasting(lasting), *_of_means(means)])


def _again(
    first: Checkpoint,
    structure: Structure,
    *,
    known: Mapping[str, Any] | None = None,
    wild: bool = False,
    lasting: frozenset[str] = frozenset(),
    anywhere: bool = False,
) -> Checkpoint:
    """The same with routes that are known; `anywhere`: noise stands where the model has none."""
    handles = first.handles
    through = {route.norm for route in structure.routes} | set(handles if anywhere else ())
    carried = {route.norm for route in structure.routes if "through-norm" in route.placements}
    return Checkpoint(handles, known, wild, lasting, through=through, carried=carried)


def _lasting(run: Session, batch: Batch) -> frozenset[str]:
    """The sources that evaluation draws from as training does, if its pass has drawn at all."""
    drawn = any(run.drew.get(name) for name in AT_TEST)
    return run.drawn_in_both(batch) if run.ranks.any(drawn) else frozenset()


def _made(
    structure: Structure,
    setting: Setting,
    found: Checkpoint,
    shown: Shown | None,
    notes: list[str],
) -> Prediction:
    sites, skipped = _figures(found, setting, shown)
    for norm in structure.norms:
        if norm.calls and norm.path not in sites:
            skipped.setdefault(norm.path, HOMELESS)
    return Prediction(
        sites=sites,
        structure=structure,
        asked=setting.taus,
        samples=0,
        skipped=skipped,
        notes=(*structure.notes, *setting.notes, _MADE, *notes, *_on(shown)),
    )


def _figures(
    found: Checkpoint, setting: Setting, shown: Shown | None
) -> tuple[dict[str, Expected], dict[str, str]]:
    """What can be said of each site, in the order they are met, and why not of the others."""
    if shown is None:
        return found.sites, dict(found.skipped)
    if not shown.like:
        reasons = {path: f"{found.skipped[path]}; {_unlike(shown)}" for path in found.undetermined}
        return found.sites, {**found.skipped, **reasons}
    # Under other noise than that of training a norm would have stored another variance.
    stored = found.stored if setting.as_it_is else {}
    weighing = Weighing(shown, frozenset(found.carried), stored)
    sites: dict[str, Expected] = {}
    for path in found.stored:
        said = found.sites.get(path)
        if said is not None:
            sites[path] = weighing.corrected(said) if said.energies else said
        elif path in found.undetermined and (site := weighing.alone(path)) is not None:
            sites[path] = site
    return sites, {path: why for path, why in found.skipped.items() if path not in sites}


_MADE = (
    "predicted without data: stored statistics are taken to be those of training, and the outputs "
    "of norms to be Gaussian"
)


def _of_lasting(lasting: frozenset[str]) -> Iterator[str]:
    if lasting:
        yield f"{listed(sorted(lasting))}: evaluation draws too, so the noise is counted in both"


def _of_means(means: Means) -> Iterator[str]:
    if means.sources:
        yield (
            f"{listed(means.sources)}: the noise does not multiply by 1 on average, and evaluation "
            "has another mean; by how much that moves the variance was seen on the example"
        )


def _on(shown: Shown | None) -> Iterator[str]:
    if shown is None or math.isnan(shown.distance):
        return
    if shown.like:
        yield (
            f"corrected and completed by the example of {counted(shown.samples, 'sample')}, which "
            f"is like the data of training: the variances at its norms are {_times(shown)} the "
            "stored ones"
        )
    else:
        yield f"only the routes of the noise were taken from the example: {_unlike(shown)}"


def _unlike(shown: Shown) -> str:
    if shown.of_evaluation:
        return (
            "the norms have stored the statistics of evaluation on the example, as after "
            "varshift.recalibrate, and not those of training: predict with data"
        )
    if shown.astray:
        return (
            "evaluation differs too much from training for one example to say how much (while "
            f"norms use stored statistics, the variances they receive are {_times(shown)} the "
            "stored ones): use measure"
        )
    return (
        f"the example of {counted(shown.samples, 'sample')} is too unlike the data of training "
        f"(the variances at its norms are {_times(shown)} the stored ones): pass a batch of that "
        "data"
    )


def _times(shown: Shown) -> str:
    """Such as "a factor of 3.1 away from"."""
    if not math.isfinite(shown.distance):
        return "infinite against"
    return f"a factor of {math.exp(shown.distance):.3g} away from"
