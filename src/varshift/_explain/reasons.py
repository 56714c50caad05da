"""The reason: the verdict in a few sentences for a person."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from varshift._explain.rest import behind_the_rest, norms_alone, shares, tells
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
from varshift.results.explanation import Cause, Verdict

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


def reason(verdict: Verdict, told: Told) -> str:
    """One or two sentences for a person."""
    if verdict == "none":
        return _nothing(told)
    return _REASONS[verdict](told, told.worst[verdict])


def _nothing(told: Told) -> str:
    found = [site.noise for site in told.factors.values()]
    if any(math.isfinite(noise.value) and not math.isfinite(noise.se) for noise in found):
        return "Nothing is sure: too few batches to tell how far figures are off. Give more data."
    sentence = (
        "no cause surely displaces what a norm hands on by a tenth of a deviation."
        if told.factors or not told.outputs
        else "nothing surely moves the mean of an output by a tenth of a deviation."
    )
    places = [place for place in told.blame.places if tells(told.blame, place)]
    upper = f"{sentence[0].upper()}{sentence[1:]}"
    if not places and not told.blame.unsilenced:
        return f"Nothing to see here: {sentence}"
    if not places:
        return f"{upper} But not all noise could be silenced, so how much it does is not sure. " + (
            behind_the_rest(told.blame, told.structure, told.other_norms)
        )
    place = max(places, key=lambda place: abs(told.blame.rest[place]))
    return (
        f"{upper} But training and evaluation differ at {place!r} "
        f"with every source silenced, by {100 * told.blame.rest[place]:.2g} % of its training "
        f"variance. {behind_the_rest(told.blame, told.structure, told.other_norms)}"
    )


def _noise(told: Told, place: str) -> str:
    culprits = shares(told.blame, told.structure, place, told.other_norms)
    if place not in told.factors:
        shift = told.moves[place]["noise"][1].value
        return f"Noise moves the mean of {place} by {shift:.2f} deviations.{culprits}"
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
        f"Dominated by what no source of noise was shown to do: with every source silenced, "
        f"training still differs from evaluation at {place!r} by {100 * share.value:.0f} % of its "
        f"training variance, and in means by {moves.value:.2f} deviations. "
        f"{behind_the_rest(told.blame, told.structure, told.other_norms)}{largest}"
    )


def _other_norms(told: Told, place: str) -> str:
    others = told.other_norms
    assert others is not None
    return (
        f"Dominated by norms: {norms_alone(others)}{_fresh(others)} Run the same norms in both "
        "modes, or take the statistics of those from what evaluation gives them."
    )


def _fresh(others: OtherNorms) -> str:
    if not others.fresh:
        return ""
    named = ", ".join(map(repr, others.fresh[:3]))
    still = "still holds" if len(others.fresh) == 1 else "still hold"
    return f" {named} {still} mean 0 and variance 1, as made."


def _staleness(told: Told, place: str) -> str:
    site, why = told.factors[place], told.stale.get(place)
    cure = "Let it train, or recalibrate." if _is(why, StaleCause.FROZEN) else "Recalibrate."
    return (
        f"Dominated by stale statistics: at {site.path!r} training batches have "
        f"{site.age.value:.2f} times the stored variance, and means "
        f"{site.mean_shift['staleness'].value:.2f} deviations away. "
        f"{'' if why is None else why.sentence + ' '}{cure}"
    )


def _is(why: Staleness | None, cause: StaleCause) -> bool:
    return why is not None and why.cause is cause


def _small_batch(told: Told, place: str) -> str:
    off, norm = 100 * abs(_off(told.factors[place])), told.structure.norm(place)
    if norm.reused:
        return (
            f"Dominated by a norm that is reused: {place!r} runs {norm.calls} "
            "times a pass, in training each time with the batch's own statistics, in evaluation "
            f"with a mixture of all runs, {off:.0f} % of variance away. "
            "Give each run a norm of its own."
        )
    if "InstanceNorm" in norm.kind:
        return (
            f"Dominated by moments of each sample: {place!r} ({norm.kind}) normalises each by its "
            f"own in training and by their average in evaluation, {off:.0f} % of variance away "
            "from what all have. Let it keep no running statistics (track_running_stats=False)."
        )
    return (
        f"Dominated by small batches: at {place!r} what batches are normalised by differs from "
        f"what all samples have by {off:.0f} % of variance, and the moving "
        f"average keeps the scatter between batches.{_drawn(told)} {_cure(told.factors[place])}"
    )


def _cure(site: Factors) -> str:
    if abs(site.composition.value - 1) > abs(site.batches.value - 1):
        return "Mix what comes in batches of its own (domains, classes), or recalibrate."
    return "Use larger batches, or recalibrate."


def _drawn(told: Told) -> str:
    """What is drawn once for a whole batch makes batches differ too."""
    if not told.blame.unsilenced or told.blame.steady:
        return ""
    causes = behind_the_rest(told.blame, told.structure, told.other_norms)
    return f" Noise that is drawn for a whole batch does the same: {causes[0].lower()}{causes[1:]}"


def _data(told: Told, place: str) -> str:
    site = told.factors[place]
    return (
        f"Dominated by a data difference: both in evaluation mode, the test data has "
        f"{site.data.value:.2f} times the variance of the training data at {place!r}, and means "
        f"{site.mean_shift['data'].value:.2f} deviations away."
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
