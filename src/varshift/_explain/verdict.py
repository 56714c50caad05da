"""The verdict in words: which cause displaces the worst site most, and what that means."""

from __future__ import annotations

import math
from collections.abc import Mapping

from varshift.results import Blame, Factors, Figure, Output, Structure
from varshift.results.explanation import CAUSES, Cause, Verdict

__all__ = ["judged", "reason"]

# The least displacement worth a verdict, in deviations of what a norm hands on: a variance off by
# 22 %, or means off by a tenth of a deviation.
_LEAST = 0.1
_SMALL = 0.05  # of a training variance: no culprit worth the name


def judged(
    factors: Mapping[str, Factors], outputs: Mapping[str, Output]
) -> tuple[Verdict, dict[Cause, float], dict[Cause, str]]:
    """The verdict, and per cause the largest sure displacement and the place where it is."""
    scores: dict[Cause, float] = dict.fromkeys(CAUSES, 0.0)
    worst: dict[Cause, str] = {}
    for path, site in factors.items():
        for cause in CAUSES:
            _keep(scores, worst, cause, path, _sure(site.displacement[cause]))
    if not factors:  # no norm at all: what noise does to the mean of the output is what is left
        for name, output in outputs.items():
            _keep(scores, worst, "noise", name, _sure(output.mean_shift))
    first = max(CAUSES, key=lambda cause: scores[cause])
    return (first if scores[first] >= _LEAST else "none"), scores, worst


def reason(
    verdict: Verdict,
    factors: Mapping[str, Factors],
    blame: Blame,
    structure: Structure,
    outputs: Mapping[str, Output],
    worst: Mapping[Cause, str],
) -> str:
    """One or two sentences for a person."""
    if verdict == "none":
        found = [site.noise for site in factors.values()]
        if any(math.isfinite(noise.value) and not math.isfinite(noise.se) for noise in found):
            return (
                "Nothing is sure: too few batches to tell how far figures are off. Give more data."
            )
        return (
            "Nothing to see here: no cause surely displaces what a norm hands on by a tenth of a "
            "deviation."
        )
    place = worst[verdict]
    if place not in factors:
        shift = outputs[place].mean_shift.value
        culprit = _from(blame, structure, place)
        return f"Noise moves the mean of {place} by {shift:.2f} deviations.{culprit}"
    site = factors[place]
    if verdict == "noise":
        noise, alone = site.noise.value, site.alone.value
        # Blame is told with every norm at its training statistics, as `alone` is.
        apart = (
            f" ({alone:.3g} with the norms before it at their training statistics)"
            if _apart(site)
            else ""
        )
        return (
            f"Dominated by noise: with it off, the variance at {place!r} is {noise:.3g} of what "
            f"training saw{apart}.{_from(blame, structure, place)}"
        )
    if verdict == "staleness":
        return _stale(site, structure)
    if verdict == "small-batch" and structure.norm(place).reused:
        return (
            f"Dominated by a norm that is reused: {place!r} runs {structure.norm(place).calls} "
            "times a pass, in training each time with the batch's own statistics, in evaluation "
            f"with a mixture of all runs, {100 * abs(_off(site)):.0f} % of variance away. "
            "Give each run a norm of its own."
        )
    if verdict == "small-batch":
        return (
            f"Dominated by small batches: at {place!r} what batches are normalised by differs from "
            f"what all samples have by {100 * abs(_off(site)):.0f} % of variance, and the moving "
            "average keeps the scatter between batches. Use larger batches, or recalibrate."
        )
    return (
        f"Dominated by a data difference: both in evaluation mode, the test data has "
        f"{site.data.value:.2f} times the variance of the training data at {place!r}, and means "
        f"{site.mean_shift['data'].value:.2f} deviations away."
    )


def _keep(
    scores: dict[Cause, float], worst: dict[Cause, str], cause: Cause, place: str, score: float
) -> None:
    if score > scores[cause] or cause not in worst:
        scores[cause], worst[cause] = max(score, scores[cause]), place


def _sure(size: Figure) -> float:
    """The size less two standard errors; where the error is not known nothing is sure."""
    known = math.isfinite(size) and math.isfinite(size.se)
    return max(0.0, size.value - 2 * size.se) if known else 0.0


def _from(blame: Blame, structure: Structure, place: str) -> str:
    behind = blame.behind(place)
    if not behind:
        return ""
    name, share = next(iter(behind.items()))
    line = structure.noise(name).line
    where = f" ({line.near}: {line.code})" if line else ""
    if share.value < _SMALL:
        return (
            f" No single source has much of its training variance; the largest, {name!r}{where}, "
            f"has {100 * share.value:.2g} %."
        )
    return f" {name!r}{where} causes {100 * share.value:.0f} % of its training variance."


def _apart(site: Factors) -> bool:
    """Whether norms before it, or small batches, change the factor by a tenth."""
    noise, alone = site.noise.value, site.alone.value
    return alone > 0 and noise > 0 and max(noise / alone, alone / noise) > 1.1


def _stale(site: Factors, structure: Structure) -> str:
    norm = structure.norm(site.path)
    how = "none: a plain average" if norm.momentum is None else f"{norm.momentum:g}"
    return (
        f"Dominated by stale statistics: at {site.path!r} training batches have "
        f"{site.age.value:.2f} times the stored variance, and means "
        f"{site.mean_shift['staleness'].value:.2f} deviations away. Momentum is {how}: too small "
        "for the steps taken, a last learning rate too large, or too few steps. Recalibrate."
    )


def _off(site: Factors) -> float:
    return site.batches.value * site.composition.value - 1
