"""Steps of a diagnosis in words: what to do, the lines to copy, and the gain to expect."""

from __future__ import annotations

from varshift._draw.document import StepText
from varshift._draw.documents.cells import named
from varshift._draw.figures import fixed
from varshift.results.steps import Step, StepKind

__all__ = ["step_of"]

_WORDS: dict[StepKind, str] = {
    "recalibrate": "Take the stored statistics anew, with noise off; no training is needed.",
    "relocate": "Move the noise behind the last norm, and train again.",
    "lower-rate": "Lower the rate of the noise, and train again.",
    "set-momentum": "Set the momentum of the norms, and train again.",
    "unfreeze": "Let the norm learn its statistics, and train on: it is in eval mode while the "
    "model trains.",
    "mix-batches": "Mix what comes in batches of its own, such as domains or classes.",
    "larger-batches": "Train in larger batches.",
    "separate-norms": "Give each run of the reused norm a norm of its own.",
    "drop-running-statistics": "Let the norm keep no running statistics.",
    "compare-data": "Compare the test data with the training data: no statistics are at fault.",
    "find-draw": "Find what differs between the modes: code under self.training, or a draw that "
    "was not seen.",
}


def step_of(step: Step) -> StepText:
    """One step, as it is told."""
    words = _WORDS[step.kind]
    if step.sources:
        more = f" and {len(step.sources) - 3} more" if len(step.sources) > 3 else ""
        which = "Source" if len(step.sources) == 1 else "Sources"
        words += f" {which}: {', '.join(map(named, step.sources[:3]))}{more}"
        words += f", {step.at_line.near}." if step.at_line is not None else "."
    return StepText(words, step.line, step.command, " ".join(_gains(step)))


def _gains(step: Step) -> list[str]:
    said = []
    if step.before is not None and step.after is not None:
        said.append(
            f"Expected: severity at {named(step.place)} from {fixed(step.before.value, 2)} to "
            f"{fixed(step.after.value, 2)}."
        )
    tried = step.measured
    if tried is not None and tried.trial is not None:
        loss = tried.trial.loss
        verdict = "it helps" if tried.accepted else "that is not sure to help"
        said.append(
            f"Tried on the held-out samples, and taken back: loss {loss.mean:+.3g} "
            f"({loss.low:+.2g} to {loss.high:+.2g}): {verdict}."
        )
    return said
