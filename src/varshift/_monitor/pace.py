"""When the next look is due: the time that training has taken pays for it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

__all__ = ["Pace"]

_SPENT = 0.8  # of the budget; the rest is for what no clock in here sees (calls, memory, garbage)
_PAUSE = 10.0  # times the usual step: a longer one (validation, a pause) earns no more than that
_LEARNS = 0.1  # how much of a newer time goes into what is usual
_UNTIMED = 100  # calls in a row that go by without a look at the clock, at most
_CALL = 1e-6  # seconds charged for each of these, between steps that empty the caches,
_CALL_OF_STEP = 5e-4  # or this part of a step, if that is less: short steps leave caches warm
_AFTER = 2  # steps after a look that are slower: caches hold what the look has read
_ASSUMED = 0.1  # of a look: how much slower they are together, as long as that is not known
_ENOUGH, _KEPT = 8, 32  # steps from which it is known, and how many of the last ones are kept


class Pace:
    """Spends a share of the time that passes, and no more, but for what the first looks cost.

    Every second of training earns `budget` seconds, less a fifth. A look is due when what the
    last ones cost has been earned; what it really costs is then paid, so that an estimate that was
    too low delays the next look. The first looks come before anything is earned (nobody knows what
    they cost), and the debt is paid off before the next one. No more than one look is ever saved
    up.

    Everything is paid for: looks and what is made ready for them; every other call, those that
    read no clock at a flat price; and the steps after a look, which take longer than others do.
    How much longer is measured, as the medians of both differ.

    With `every`, each so many steps, whatever that costs.
    """

    clock: Callable[[], float] = staticmethod(time.perf_counter)

    def __init__(self, budget: float, every: int | None) -> None:
        self._budget, self.every = _SPENT * budget, every
        self._credit = 0.0
        self._cost: float | None = None
        self._usual: float | None = None
        self._left: float | None = None  # when the last call was left, or training last went on
        self._ready = 0.0  # what was done for the next look, ahead of it
        self._since = _AFTER  # steps since the last look
        self._slowed = 0.0  # seconds of these
        self._plain: deque[float] = deque(maxlen=_KEPT)  # seconds of single steps
        self._slow: deque[float] = deque(maxlen=_KEPT)  # and of as many as are slower, together
        self.seconds = 0.0  # since the first step, ours included
        self.spent = 0.0  # of these, ours

    @property
    def share(self) -> float:
        """What part of the time since the first step has gone into looking."""
        return self.spent / self.seconds if self.seconds else 0.0

    def enter(self, steps: int = 1) -> None:
        """A call begins, the first that is timed after so many: what has passed is earned."""
        now = self.clock()
        self._charge(self._call * steps)
        if self._left is not None:
            self._earned(now - self._left, steps)
        self._left = now

    def again(self) -> None:
        """Within a call: what has passed since it began was training's."""
        now = self.clock()
        if self._left is not None:
            self.seconds += now - self._left
        self._left = now

    def done(self) -> None:
        """Within a call, or at its end: something that was no part of a look was done."""
        self._pay()

    def made_ready(self) -> None:
        """Within a call, a part of the next look was done."""
        self._ready += self._pay()

    def looked(self) -> float:
        """Within a call, a look was taken; the steps after it are paid in advance.

        Gives how many seconds it took.
        """
        took = self._pay()
        slower = self._slower(took)
        self._charge(slower)
        whole = self._ready + took + slower
        self._ready, self._since, self._slowed = 0.0, 0, 0.0
        known = self._cost
        self._cost = whole if known is None else known + 0.3 * (whole - known)
        return took

    def due(self, step: int) -> bool:
        """Whether a look at this step can be paid for."""
        if self.every is not None:
            return step % self.every == 0
        return self._cost is not None and self._credit >= self._cost

    def untimed(self, step: int, first: int | None) -> int:
        """How many calls after that of this step may go by without a look at the clock.

        Half of those that the next look is away, for steps may become longer; but for the one
        before it, at which it is made ready. `first` is the step of the first look, if that is
        still to come.
        """
        if self._since < _AFTER:
            return 0
        if self.every is not None or first is not None:
            following = max(step + 1, first or 0)
            if self.every is not None:
                following += -following % self.every
            return min(_UNTIMED, max(0, following - step - 2))
        if self._usual is None:
            return 0
        earned = self._budget * self._usual - self._call
        missing = (self._cost or 0.0) - self._credit
        return min(_UNTIMED, max(0, int(missing / earned / 2))) if earned > 0 else _UNTIMED

    @property
    def _call(self) -> float:
        """Seconds that a call takes which reads no clock."""
        return min(_CALL, _CALL_OF_STEP * (self._usual or 0.0))

    def _earned(self, passed: float, steps: int) -> None:
        self.seconds += passed
        usual = passed / steps if self._usual is None else self._usual
        counted = min(passed, (steps - 1 + _PAUSE) * usual)
        learnt = 1 - (1 - _LEARNS) ** steps
        self._usual = usual + learnt * (counted / steps - usual)
        self._credit += self._budget * counted
        if self._cost is not None:  # a look comes one step after it is earned
            self._credit = min(self._credit, self._cost + self._budget * self._usual)
        if self._since < _AFTER:
            self._since += steps
            self._slowed += passed
            if self._since == _AFTER:
                self._slow.append(self._slowed)
        elif steps == 1:
            self._plain.append(passed)

    def _slower(self, look: float) -> float:
        """Seconds by which the steps after a look take longer than as many others."""
        if len(self._slow) < _ENOUGH or len(self._plain) < _ENOUGH:
            return _ASSUMED * look
        return max(0.0, median(self._slow) - _AFTER * median(self._plain))

    def _pay(self) -> float:
        now = self.clock()
        took = 0.0 if self._left is None else now - self._left
        self.seconds += took
        self._left = now
        self._charge(took)
        return took

    def _charge(self, seconds: float) -> None:
        self.spent += seconds
        self._credit -= seconds

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
