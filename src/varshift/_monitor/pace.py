"""When the next look is due: the time that training has taken pays for it."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Pace"]

_PAUSE = 10.0  # times the usual step: a longer one (validation, a pause) earns no more than that
_LEARNS = 0.1  # how much of a newer time goes into what is usual


class Pace:
    """Spends a share of the time that passes, and no more, but for what the first looks cost.

    Every second of training earns `budget` seconds. A look is due when what the last ones cost has
    been earned; what it really costs is then paid, so that an estimate that was too low delays the
    next look. The first looks come before anything is earned (nobody knows what they cost), and
    the debt is paid off before the next one. No more than one look is ever saved up.

    With `every`, each so many steps, whatever that costs.
    """

    clock: Callable[[], float] = staticmethod(time.perf_counter)

    def __init__(self, budget: float, every: int | None) -> None:
        self._budget, self.every = budget, every
        self._credit = 0.0
        self._cost: float | None = None
        self._usual: float | None = None
        self._left: float | None = None  # when the last step was left
        self.seconds = 0.0  # since the first step, ours included
        self.spent = 0.0  # of these, ours

    @property
    def share(self) -> float:
        """What part of the time since the first step has gone into looking."""
        return self.spent / self.seconds if self.seconds else 0.0

    def enter(self) -> float:
        """A step begins: what has passed since the last one is earned. Gives the time."""
        now = self.clock()
        if self._left is not None:
            step = now - self._left
            self.seconds += step
            usual = step if self._usual is None else self._usual
            counted = min(step, _PAUSE * usual)
            self._usual = usual + _LEARNS * (counted - usual)
            self._credit += self._budget * counted
            if self._cost is not None and self._credit > self._cost:
                self._credit = self._cost
        self._left = now
        return now

    def again(self) -> float:
        """The time, within a step: what has passed since it was last asked for is training's."""
        now = self.clock()
        if self._left is not None:
            self.seconds += now - self._left
        self._left = now
        return now

    def due(self, step: int) -> bool:
        """Whether a look at this step can be paid for."""
        if self.every is not None:
            return step % self.every == 0
        return self._cost is not None and self._credit >= self._cost

    def paid(self, since: float, *, look: bool) -> float:
        """What was done since then, a whole `look` or a part of one, is taken from what is earned.

        Gives how many seconds it was.
        """
        now = self.clock()
        took = now - since
        self.seconds += took
        self.spent += took
        self._credit -= took
        self._left = now
        if look:
            known = self._cost is not None
            self._cost = self._cost + 0.3 * (took - self._cost) if known else took  # type: ignore[operator]
        return took

    def state(self) -> dict[str, float | None]:
        """What a resumed run needs, plain."""
        return {
            "credit": self._credit,
            "cost": self._cost,
            "usual": self._usual,
            "seconds": self.seconds,
            "spent": self.spent,
        }

    def resume(self, state: dict[str, float | None]) -> None:
        """Go on where `state` was taken; the time between counts for nothing."""
        self._credit = state["credit"] or 0.0
        self._cost, self._usual = state["cost"], state["usual"]
        self.seconds, self.spent = state["seconds"] or 0.0, state["spent"] or 0.0
        self._left = None
