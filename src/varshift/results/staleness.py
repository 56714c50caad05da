"""Why stored statistics are not those of what arrives, as far as the numbers tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

from varshift._base import plain
from varshift._counting import counted, plural

__all__ = ["StaleCause", "Staleness"]


class StaleCause(Enum):
    """What the numbers support; the value says it in the field's words."""

    FROZEN = "in eval mode while the model trains"
    NEVER_UPDATED = "never updated"
    FEW_STEPS = "too few steps for the momentum"
    FROM_THE_START = "averaged from the start"
    LARGE_MOMENTUM = "momentum too large"
    LAST_BATCHES = "last batches of other data"
    OTHER_SCALE = "other scale of weights or inputs"
    UNKNOWN = "not told by the numbers"


@dataclass(frozen=True)
class Staleness:
    """Stored statistics that do not fit, and the cause that the numbers support.

    Attributes:
        cause: the one that explains most of it, if any does.
        momentum: of the norm, in torch's sense; None averages from the start, NaN is not known.
        steps: batches that it has tracked (`num_batches_tracked`), 0 if not counted.
        initial: weight that the initial mean 0 and variance 1 still have: (1 − momentum)^steps, or
            what fits where steps do not say it.
        apart: how far what is stored lies from what arrives: root mean square over live channels of
            mean shift in stored deviations and half the log variance ratio.
        left: the same once the cause is taken into account; None where it predicts no numbers.
        batch: LAST_BATCHES: the running average fits that ends with this batch of the data, from 1;
            if `alone`, that batch by itself.
        batches: how many batches were given.
        scale: OTHER_SCALE: what arrives is so many times what was stored.
        trained: whether the weights show that the model was trained.

    >>> stale = Staleness(StaleCause.FEW_STEPS, 0.01, 50, initial=0.61, apart=0.4)
    >>> stale.sentence
    'The initial mean 0 and variance 1 still weigh 61 % after 50 steps at momentum 0.01.'
    """

    cause: StaleCause
    momentum: float | None
    steps: int
    initial: float
    apart: float
    left: float | None = None
    batch: int = 0
    batches: int = 0
    scale: float = 1.0
    trained: bool = True
    alone: bool = False

    @property
    def remembers(self) -> float:
        """Batches that the running average remembers, 1 ÷ momentum; infinite for None and 0."""
        return 1 / self.momentum if self.momentum else float("inf")

    @property
    def counted(self) -> float:
        """What the steps counted leave of the initial values: (1 − momentum)^steps."""
        return (1 - (self.momentum or 0.0)) ** self.steps if self.steps else 0.0

    @property
    def sentence(self) -> str:
        """The cause in a sentence or two."""
        return _SENTENCES[self.cause](self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the cause's value and its figures."""
        return {
            "cause": self.cause.value,
            "momentum": self.momentum,
            "steps": self.steps,
            **{name: plain(getattr(self, name)) for name in ("initial", "apart", "left", "scale")},
            "batch": self.batch,
            "batches": self.batches,
            "trained": self.trained,
            "alone": self.alone,
            "sentence": self.sentence,
        }


def _momentum(held: Staleness) -> str:
    if held.momentum is None:
        return "None"
    return "not known" if math.isnan(held.momentum) else f"{held.momentum:g}"


def _batches(held: Staleness) -> str:
    number = f"{held.remembers:.2g}"
    return f"about {number} {plural(1 if number == '1' else 2, 'batch')}"


def _frozen(held: Staleness) -> str:
    if held.momentum is not None and math.isnan(held.momentum):  # its own code, not its flag
        return "The norm's own code goes by them while the model trains, so no step updates them."
    return "The norm is in eval mode while the model trains, so no step updates them."


def _never_updated(held: Staleness) -> str:
    if held.momentum == 0:
        return "Momentum is 0, so no step changes them."
    made = (
        "They are still mean 0 and variance 1, as the norm was made (num_batches_tracked "
        f"{held.steps})"
    )
    if not held.trained:
        return f"{made}: nothing has updated them."
    return (
        f"{made}, while its weights were trained: nothing has updated them, as where weights were "
        "averaged or loaded without their buffers."
    )


def _few_steps(held: Staleness) -> str:
    weigh = f"The initial mean 0 and variance 1 still weigh {100 * held.initial:.0f} %"
    if held.counted < held.initial / 2:
        return f"{weigh}, as if averaged too slowly, but the steps counted do not explain it."
    return f"{weigh} after {counted(held.steps, 'step')} at momentum {_momentum(held)}."


def _from_the_start(held: Staleness) -> str:
    return (
        f"Momentum is None: the first of {held.steps or 'all'} {plural(held.steps, 'step')} weighs "
        "as much as the last, while the weights moved."
    )


def _large_momentum(held: Staleness) -> str:
    momentum = held.momentum or 0.0
    if momentum < 0.5:
        return (
            f"At momentum {_momentum(held)} the average remembers {_batches(held)} and keeps their "
            "scatter."
        )
    return (
        f"Momentum {_momentum(held)} keeps little but the last batch: what other frameworks call "
        f"{_momentum(held)} is {1 - momentum:.2g} here."
    )


def _last_batches(held: Staleness) -> str:
    which = (
        f"batch {held.batch} of {held.batches} by itself"
        if held.alone
        else f"a running average that ends with batch {held.batch} of {held.batches}"
    )
    return (
        f"They are those of the last few batches, not of all data: {which} fits to "
        f"{held.left or 0.0:.2f} deviations (momentum {_momentum(held)} remembers "
        f"{_batches(held)})."
    )


def _other_scale(held: Staleness) -> str:
    return (
        f"In all channels alike, what arrives is {held.scale:.2f} times what was stored: the scale "
        "of weights or inputs has changed since, as it does when weights are edited or averaged."
    )


def _unknown(held: Staleness) -> str:
    after = f" after {counted(held.steps, 'step')}" if held.steps else ""
    said = f"The numbers do not tell why (momentum {_momentum(held)}{after}"
    if held.steps and held.initial < 0.01:
        said += f", which remembers {_batches(held)} and nothing of the initial 1"
    return (
        f"{said}). Possible causes: last batches of other data, domains that come in turns, or "
        "weights that were averaged, edited or moved fast since."
    )


_SENTENCES = {
    StaleCause.FROZEN: _frozen,
    StaleCause.NEVER_UPDATED: _never_updated,
    StaleCause.FEW_STEPS: _few_steps,
    StaleCause.FROM_THE_START: _from_the_start,
    StaleCause.LARGE_MOMENTUM: _large_momentum,
    StaleCause.LAST_BATCHES: _last_batches,
    StaleCause.OTHER_SCALE: _other_scale,
    StaleCause.UNKNOWN: _unknown,
}
