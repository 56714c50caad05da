"""From recordings and contrasts to the finished explanation."""

from __future__ import annotations

from collections.abc import Iterator

from varshift._engine import Held, Session
from varshift._explain.blame import blame_of, noisy_spread
from varshift._explain.factors import factors_of
from varshift._explain.lanes import Lanes
from varshift._explain.outputs import output_of
from varshift._explain.settling import FirstBatch
from varshift._explain.verdict import judged, reason
from varshift.results import Explanation

__all__ = ["explanation"]

_LITTLE = 8  # samples of a source below which a share is little more than a guess


def explanation(run: Session, held: Held, lanes: Lanes, settling: FirstBatch) -> Explanation:
    """All of it, from what was recorded."""
    structure, blaming = run.structure, settling.blaming
    rounds = blaming.rounds if blaming.noisy else 0
    places = [place for place in lanes.clean.at if place not in blaming.wide]
    clean = {place: lanes.without_noise(place) for place in places}
    noisy = {place: noisy_spread(blaming, lanes, place) for place in places}
    blame = blame_of(settling, lanes, noisy, 2 + rounds)
    factors = {
        norm.path: factors_of(lanes.site(norm, noisy[norm.path]))
        for norm in structure.norms
        if lanes.everywhere(norm.path)
    }
    outputs = {
        name: output_of(name, noisy[name], spread)
        for name, spread in clean.items()
        if name not in lanes.clean.stored
    }
    verdict, scores, worst = judged(factors, outputs)
    return Explanation(
        verdict=verdict,
        reason=reason(verdict, factors, blame, structure, outputs, worst),
        scores=scores,
        worst=worst,
        factors=factors,
        blame=blame,
        outputs=outputs,
        structure=structure,
        samples=held.samples,
        batches=held.batches,
        passes=3 + rounds,
        skipped={
            norm.path: "no batch reached it in every way of running the model"
            for norm in structure.norms
            if norm.path not in factors
        },
        notes=tuple(dict.fromkeys([*structure.notes, *_notes(run, held, lanes, settling)])),
    )


def _notes(run: Session, held: Held, lanes: Lanes, settling: FirstBatch) -> Iterator[str]:
    blaming = settling.blaming
    yield from blaming.notes
    if run.strangers:
        yield "some draws of the blame pass belong to no source of the first pass"
    for place in sorted(blaming.contrasts.uneven):
        yield f"{place}: batches whose rows do not belong to one sample each are left out of blame"
    for name, how in settling.silenced.items():
        if not how.exact:
            yield f"{name}: silenced {how}"
    design, seen = blaming.design, held.samples * blaming.rounds
    if design.sources and not design.whole_batches and seen * design.share_alone < _LITTLE:
        yield (
            f"only {seen} samples for {len(design.sources)} sources: shares are rough, give more "
            "data"
        )
    if not lanes.data.at:
        yield "no test_data was given: the factor data is 1 by definition"
