"""The sentence that a repair ends with: what was kept, or why nothing was."""

from __future__ import annotations

import math

from varshift._counting import counted
from varshift._repair.choosing import Labels
from varshift._repair.labels import Item
from varshift.results import Candidate, Score, Trial

__all__ = ["nothing_to_do", "why_kept", "why_labels", "why_none", "why_refused"]


def why_kept(best: Candidate, before: Score, of_how_many: int, measure: str) -> str:
    """The best candidate, and what it changed."""
    assert best.score is not None
    assert best.trial is not None
    change = best.trial.loss
    text = (
        f"{best.method} took the held-out {measure} from {before.loss:.4g} to "
        f"{best.score.loss:.4g} (change {_interval(best.trial)}, p {_p(change.p_value)}"
    )
    if best.trial.accuracy is not None and best.score.accuracy is not None:
        text += f"; accuracy {100 * before.accuracy:.1f} to {100 * best.score.accuracy:.1f} %"  # type: ignore[operator]
    others = "" if of_how_many < 2 else f", the best of {of_how_many} candidates"
    return f"{text}){others}"


def why_refused(trial: Trial, level: float, tests: int) -> str:
    """Why a measured candidate did not pass the gate; "" where it did."""
    verdict = trial.verdict(level, tests)
    if verdict == "passed":
        return ""
    if verdict == "not finite":
        return "a loss is not finite"
    if verdict == "accuracy fell":
        assert trial.accuracy is not None
        return f"accuracy fell by {-100 * trial.accuracy.mean:.1f} points, though the loss did too"
    said = f"{verdict}: change {_interval(trial)}"
    if verdict == "not better beyond chance":
        return f"{said}, p {_p(trial.loss.p_value)} of {level / tests:.2g} asked"
    return said


def why_none(candidates: list[Candidate], before: Score, measure: str, unusable: str | None) -> str:
    """No candidate passed: the nearest one and what kept it out.

    `unusable`: what a norm has stored, where that explains a loss that is no number.
    """
    if not math.isfinite(before.loss):
        return (
            f"the held-out {measure} of the model as trained is not finite, so nothing can be "
            f"compared; the model is untouched{f': {unusable}' if unusable else ''}"
        )
    reasons = "; ".join(f"{candidate.method}: {candidate.reason}" for candidate in candidates)
    return f"no repair helped, the model is untouched ({reasons})"


def why_labels(labels: Labels) -> str | None:
    """What was taken for labels, where that is not what the form of a batch says, or not clear."""
    found = None if labels.item is None else _item(labels.item)
    if labels.input and labels.usual is not None:
        said = f"{_item(labels.usual)} of a batch is no label: the model predicts from it"
        if found is None:
            return f"{said}. No other item fits; pass loss=lambda out, batch: … to judge by one"
        said += f"; {found} was taken for labels"
    elif labels.rivals:
        said = f"{found} of a batch was taken for labels"
    else:
        return None
    rivals = ", ".join(map(_item, labels.rivals))
    return said + (f"; so might be {rivals}: pass loss= to judge by another" if rivals else "")


def _item(item: Item) -> str:
    return f"item {item} (from 0)" if isinstance(item, int) else repr(item)


def nothing_to_do(sources: int, norms: int) -> str:
    """No route from noise to a norm."""
    if norms == 0:
        there = "the model has no BatchNorm with running statistics"
    elif sources == 0:
        there = "the model draws no noise in training"
    else:
        held = f"{counted(sources, 'source')}, {counted(norms, 'norm')}"
        there = f"none of its noise reaches a norm ({held})"
    return (
        f"{there}, so noise shifts no statistics and there is nothing to repair; the model is "
        "untouched. If it is worse in eval() all the same, call explain"
    )


def _interval(trial: Trial) -> str:
    loss = trial.loss
    return f"{loss.mean:+.3g}, 95 % from {loss.low:+.3g} to {loss.high:+.3g}"


def _p(value: float) -> str:
    return f"{value:.2g}" if value > 1e-15 else "< 1e-15"
