"""The reason: the verdict in a few sentences for a person."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from varshift._counting import counted, verb
from varshift._explain.rest import behind_the_rest, norms_alone, rest_in_words, shares, tells
from varshift._explain.verdict import fits
from varshift.results import (
    Blame,
    Factors,
    Figure,
    OtherNorms,
    Output,
    StaleCause,
    Staleness,
    Structure,
)
from varshift.results.explanation import Cause, Verdict, most_off

__all__ = ["Told", "reason"]


@dataclass(frozen=True, eq=False)
class Told:
    """What the reason speaks of."""

    factors: Mapping[str, Factors]
    blame: Blame
    structure: Structure
    outputs: Mapping[str, Output]
    moves: Mapping[str, Mapping[Cause, tuple[Figure, Figure]]]
    other_norms: OtherNorms | None
    stale: Mapping[str, Staleness]
    worst: Mapping[Cause, str]
    unlike_runs: tuple[str, ...]


def reason(verdict: Verdict, told: Told) -> str:
    """One or two sentences for a person."""
    if verdict == "none":
        return _nothing(told)
    return _REASONS[verdict](told, told.worst[verdict])


def _nothing(told: Told) -> str:
    found = [site.noise for site in told.factors.values()]
    if any(math.isfinite(noise.value) and not math.isfinite(noise.se) for noise in found):
        return "Nothing is sure: there are too few batches to estimate errors. Give more data."
    sentence = (
        "no cause surely displaces the output of a norm by a tenth of a standard deviation."
        if told.factors or not told.outputs
        else "nothing surely moves the mean of an output by a tenth of a standard deviation."
    )
    places = [place for place in told.blame.places if tells(told.blame, place)]
    upper = f"{sentence[0].upper()}{sentence[1:]}"
    if not places and not told.blame.unsilenced:
        off = most_off(told.factors)
        return f"Nothing to see here: {sentence}" if off is None else _undecided(told.factors[off])
    if not places:
        return f"{upper} But some noise could not be silenced, and what it does is not known. " + (
            behind_the_rest(told.blame, told.structure, told.other_norms)
        )
    place = max(places, key=lambda place: abs(told.blame.rest[place]))
    return (
        f"{upper} But training and evaluation differ at {place!r} "
        f"with every source silenced, by {rest_in_words(told.blame.rest[place])}. "
        f"{behind_the_rest(told.blame, told.structure, told.other_norms)}"
    )


def _undecided(site: Factors) -> str:
    return (
        "No cause alone surely displaces the output of a norm by a tenth of a standard deviation, "
        f"but all together do: what {site.path!r} has stored is {site.off.value:.2f} off what "
        "evaluation receives. Recalibrate, or give more batches to tell whose doing it is."
    )


def _noise(told: Told, place: str) -> str:
    culprits = shares(told.blame, told.structure, place, told.other_norms)
    if place not in told.factors:
        shift = told.moves[place]["noise"][1].value
        return f"Noise moves the mean of {place} by {shift:.2f} standard deviations.{culprits}"
    site = told.factors[place]
    noise, alone = site.noise.value, site.alone.value
    # Blame is told with every norm at its training statistics, as `alone` is.
    apart = (
        f" ({alone:.3g} with the norms before it at their training statistics)"
        if site.apart
        else ""
    )
    return (
        f"Dominated by noise: with it off, the variance at {place!r} is {noise:.3g} of what "
        f"training saw{apart}.{culprits}"
    )


def _unattributed(told: Told, place: str) -> str:
    share = told.blame.rest.get(place, Figure(0.0, 0.0))
    site = told.factors.get(place)
    moves = (
        told.moves[place]["unattributed"][1] if site is None else site.mean_shift["unattributed"]
    )
    largest = shares(told.blame, told.structure, place, None, rest=False)
    return (
        f"Dominated by a difference that no noise source explains: with every source silenced, "
        f"training still differs from evaluation at {place!r} by {rest_in_words(share)}, "
        f"and its mean by {moves.value:.2f} standard deviations. "
        f"{behind_the_rest(told.blame, told.structure, told.other_norms)}{largest}"
    )


def _other_norms(told: Told, place: str) -> str:
    others = told.other_norms
    assert others is not None
    return (
        f"Dominated by norms that one mode runs: {norms_alone(others)}{_fresh(others)} Run the "
        "same norms in both modes, or recalibrate those that evaluation runs."
    )


def _fresh(others: OtherNorms) -> str:
    if not others.fresh:
        return ""
    named = ", ".join(map(repr, others.fresh[:3]))
    return f" {named} still {verb(len(others.fresh), 'hold')} mean 0 and variance 1, as made."


def _staleness(told: Told, place: str) -> str:
    site, why = told.factors[place], told.stale.get(place)
    cure = _THAWED if _is(why, StaleCause.FROZEN) else "Recalibrate."
    return (
        f"Dominated by stale statistics: at {site.path!r} the variance within training batches is "
        f"{site.age.value:.2f} times the stored one (geometric mean over channels), and means are "
        f"{site.mean_shift['staleness'].value:.2f} stored deviations away. "
        f"{'' if why is None else why.sentence + ' '}{cure}"
    )


_THAWED = (
    "Evaluation divides by the same, and what stands behind may have learnt with it: let the norm "
    "train on. Recalibrating it (include_frozen=True) is for norms behind which nothing has."
)


def _is(why: Staleness | None, cause: StaleCause) -> bool:
    return why is not None and why.cause is cause


def _small_batch(told: Told, place: str) -> str:
    off, norm = 100 * abs(_off(told.factors[place])), told.structure.norm(place)
    if place in told.unlike_runs:
        return (
            f"Dominated by a norm that is reused: {place!r} runs "
            f"{counted(norm.calls, 'time')} a pass, on unlike inputs. In training each run uses "
            "its batch's own statistics. In evaluation all runs share one average, whose variance "
            f"is {off:.0f} % off. Give each run a norm of its own."
        )
    if "InstanceNorm" in norm.kind:
        return (
            f"Dominated by statistics of single samples: {place!r} ({norm.kind}) normalises each "
            "sample by its own in training and by their average in evaluation. Its variance is "
            f"{off:.0f} % off that of all samples together. Let it keep no running statistics "
            "(track_running_stats=False)."
        )
    site = told.factors[place]
    if fits(site):
        return (
            f"Dominated by small batches: with the statistics of all of them, the variance at "
            f"{place!r} is {site.batches.value:.2f} times what training saw.{_drawn(told)} What is "
            "stored is what evaluation has, so evaluation is right as it is; larger batches bring "
            "training nearer to it."
        )
    return (
        f"Dominated by small batches: at {place!r} the variance of a batch differs by {off:.0f} % "
        "from that of all samples together, and the running average keeps the scatter between "
        f"batches.{_drawn(told)} {_cure(site)}"
    )


def _cure(site: Factors) -> str:
    if abs(site.composition.value - 1) > abs(site.batches.value - 1):
        return "Mix domains or classes that come in batches of their own, or recalibrate."
    return "Use larger batches, or recalibrate."


def _drawn(told: Told) -> str:
    """What is drawn once for a whole batch makes batches differ too."""
    if not told.blame.unsilenced or told.blame.steady:
        return ""
    causes = behind_the_rest(told.blame, told.structure, told.other_norms)
    return f" Noise that is drawn once for a whole batch has the same effect. {causes}"


def _data(told: Told, place: str) -> str:
    site = told.factors[place]
    return (
        f"Dominated by a data difference: in evaluation mode, the test data has "
        f"{site.data.value:.2f} times the variance of the training data at {place!r} (geometric "
        f"mean over channels), and its means are {site.mean_shift['data'].value:.2f} stored "
        "deviations away."
    )


_REASONS: dict[Cause, Callable[[Told, str], str]] = {
    "noise": _noise,
    "staleness": _staleness,
    "small-batch": _small_batch,
    "data": _data,
    "other-norms": _other_norms,
    "unattributed": _unattributed,
}


def _off(site: Factors) -> float:
    return site.batches.value * site.composition.value - 1
