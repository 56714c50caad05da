"""From recordings and contrasts to the finished explanation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from varshift._counting import counted
from varshift._engine import Held, Session, Silenced, norm_handles, notes_on_batch_statistics
from varshift._explain.blame import blame_of, place_of
from varshift._explain.factors import factors_of
from varshift._explain.lanes import Lanes
from varshift._explain.outputs import moves_of, output_of
from varshift._explain.reasons import Told, reason
from varshift._explain.rest import rest_notes
from varshift._explain.settling import FirstBatch
from varshift._explain.verdict import LEAST, judged, sure
from varshift._measure.staleness import (
    LARGE,
    known_momentum,
    large_momentum,
    looks_trained,
    staleness_of,
)
from varshift.results import (
    Explanation,
    Factors,
    Figure,
    NoteKind,
    OtherNorms,
    Staleness,
    Structure,
)
from varshift.results.explanation import Cause

__all__ = ["explanation"]

_LITTLE = 8  # samples of a source below which a share is little more than a guess


def explanation(run: Session, held: Held, lanes: Lanes, settling: FirstBatch) -> Explanation:
    """All of it, from what was recorded."""
    structure, blaming = run.structure, settling.blaming
    rounds = blaming.rounds if blaming.noisy else 0
    ways = _ways(structure, settling)
    unsilenced = tuple(name for name, how in ways.items() if how is Silenced.NOT)
    inexact = any(not how.exact for how in ways.values())
    drawn = bool(inexact or run.strangers) and not blaming.steady
    places = {
        name: place_of(blaming, lanes, name, drawn=drawn)
        for name in lanes.clean.at
        if name not in blaming.wide
    }
    blame = blame_of(settling, lanes, places, 2 + rounds, unsilenced)
    blame = replace(
        blame,
        otherwise=tuple(sorted(run.watched & lanes.train.stored.keys())),
        in_evaluation=bool(run.drew["test"]) and not blaming.lasting,
    )
    factors = {
        norm.path: factors_of(lanes.site(norm, places[norm.path]))
        for norm in structure.norms
        if lanes.everywhere(norm.path) and norm.path not in lanes.test.by_batch
    }
    ends = {name: place for name, place in places.items() if name not in lanes.clean.stored}
    outputs = {name: output_of(name, place.noisy, place.signal) for name, place in ends.items()}
    moves = {name: moves_of(place) for name, place in ends.items()}
    verdict, scores, worst = judged(factors, moves)
    stale = _stale(run, lanes, factors)
    others = _other_norms(run, lanes, moves)
    unlike = tuple(n.path for n in structure.norms if lanes.unlike_runs(n))
    told = Told(factors, blame, structure, outputs, moves, others, stale, worst, unlike)
    return Explanation(
        verdict=verdict,
        reason=reason(verdict, told),
        scores=scores,
        worst=worst,
        factors=factors,
        blame=blame,
        outputs=outputs,
        structure=structure,
        samples=held.samples,
        batches=held.batches,
        passes=3 + rounds + 2 * (blaming.swapping is not None),
        skipped={
            norm.path: _why_skipped(norm.path, lanes, others)
            for norm in structure.norms
            if norm.path not in factors
        },
        notes=tuple(
            dict.fromkeys(
                [
                    *_of_structure(structure, others),
                    *notes_on_batch_statistics(structure, sorted(lanes.test.by_batch)),
                    *rest_notes(blame, structure, others),
                    *_notes(run, held, lanes, settling),
                ]
            )
        ),
        other_norms=others,
        stale=stale,
        unlike_runs=unlike,
    )


def _ways(structure: Structure, settling: FirstBatch) -> dict[str, Silenced]:
    """How each source that drew was silenced, draws outside torch among them."""
    blaming = settling.blaming
    drawing = [noise.name for noise in structure.noises if noise.active]
    tried = set(blaming.design.sources)
    return {
        name: settling.silenced.get(name, Silenced.NOT) if name in tried else Silenced.NOT
        for name in drawing
        if name not in blaming.lasting
    }


def _stale(run: Session, lanes: Lanes, factors: Mapping[str, Factors]) -> dict[str, Staleness]:
    """Why, of every norm whose stored statistics are surely displaced."""
    handles = norm_handles(run.model)
    found = {}
    for path, site in factors.items():
        if sure(site.displacement["staleness"]) >= LEAST:
            norm, stored = run.structure.norm(path), lanes.train.stored[path]
            handle = handles.get(path)
            trained = handle is None or looks_trained(handle, handles.values())
            arrived = lanes.arrived(norm, ~site.channels["total"].isnan())
            found[path] = staleness_of(norm, stored, arrived, trained=trained)
    return found


def _other_norms(
    run: Session, lanes: Lanes, moves: Mapping[str, Mapping[Cause, tuple[Figure, Figure]]]
) -> OtherNorms | None:
    pairing, stored = lanes.pairing, lanes.test.stored
    pairs = [pair for held in run.ranks.gather([*pairing.pairs()]) for pair in held]
    cost = {name: move["other-norms"] for name, move in moves.items() if "other-norms" in move}
    if not (pairing.training or pairing.evaluation or cost):
        return None
    return OtherNorms(
        training=pairing.training,
        evaluation=pairing.evaluation,
        pairs=tuple(dict.fromkeys(pairs)),
        fresh=tuple(path for path in pairing.evaluation if stored[path].untouched),
        mean_shift={name: mean for name, (_, mean) in cost.items()},
        displacement={name: size for name, (size, _) in cost.items()},
    )


def _why_skipped(path: str, lanes: Lanes, others: OtherNorms | None) -> str:
    if path in lanes.test.by_batch:
        return "it normalises by its batch in evaluation too: nothing that it stores is read"
    if others is not None and path in others.training:
        return "training runs it, evaluation does not"
    if others is not None and path in others.evaluation:
        return "evaluation runs it, training does not"
    return "no batch reached it in every way of running the model"


def _of_structure(structure: Structure, others: OtherNorms | None) -> Iterator[str]:
    """Its notes, less what is told of norms that evaluation alone runs."""
    told = set() if others is None else set(others.evaluation)
    for note in structure.notes:
        if not (note.kind is NoteKind.UNREACHED and note.about in told):
            yield note


def _notes(run: Session, held: Held, lanes: Lanes, settling: FirstBatch) -> Iterator[str]:
    blaming = settling.blaming
    yield from blaming.notes
    if run.strangers:
        yield "some draws of the passes for blame come from no source that the first pass met"
    for place in sorted(blaming.contrasts.uneven):
        yield f"{place}: batches whose rows are not one sample each are left out of blame"
    for name, how in settling.silenced.items():
        if not how.exact:
            yield f"{name}: silenced {how}"
    design, seen = blaming.design, held.samples * blaming.rounds
    if design.sources and not design.whole_batches and seen * design.share_alone < _LITTLE:
        yield (
            f"only {counted(seen, 'sample')} for {counted(len(design.sources), 'source')}: shares "
            "are rough, give more data"
        )
    large: dict[float, list[str]] = {}
    for norm in run.structure.norms:
        momentum = known_momentum(norm.momentum)
        if norm.calls and not norm.frozen and momentum >= LARGE:
            large.setdefault(momentum, []).append(norm.path)
    for momentum, paths in large.items():
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        yield f"{', '.join(paths[:3])}{more}: {large_momentum(momentum)}"
    if not lanes.data.at:
        yield "no test_data was given, so the factor 'data' is 1 by definition"
