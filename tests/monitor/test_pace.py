"""When a look is due, on a clock that the test moves."""

from __future__ import annotations

from itertools import pairwise

import pytest

from varshift._monitor.pace import Pace


class Loop:
    """Training under a pace: what steps, calls and looks take, and which steps were looked at."""

    def __init__(self, pace, step=1.0, look=0.4, ready=0.0, call=0.0, after=0.0, first=4.0):
        self.pace, self.now, self.truly_spent = pace, 0.0, 0.0
        self.step, self.look, self.ready, self.call = step, look, ready, call
        self.after, self.first = after, first
        self.looked, self.timed, self.at = [], [], 0
        self._made_ready = False
        self._last = 0
        pace.clock = lambda: self.now

    def run(self, steps):
        """So many more; the second is looked at whatever it costs, as a monitor does."""
        for _ in range(steps):
            self.at += 1
            self.now += self.step
            if self.looked and self.at - self.looked[-1] <= 2:
                self._ours(self.after)
            if self.at > self._last + (self._untimed if self.timed else 0):
                self._call()
        return self

    def _call(self):
        self.pace.enter(self.at - self._last)
        self._last = self.at
        self.timed.append(self.at)
        self._ours(self.call)
        if self._made_ready:
            self._ours(self.look)
            self.pace.looked()
            self.looked.append(self.at)
            self._made_ready = False
        if self.at == 1:
            self._ours(self.first)
            self.pace.done()
        if self.at == 1 or self.pace.due(self.at + 1):
            self._ours(self.ready)
            self.pace.made_ready()
            self._made_ready = True
        self.pace.done()
        self._untimed = self.pace.untimed(self.at, None if self.looked else 2)

    def _ours(self, seconds):
        self.now += seconds
        self.truly_spent += seconds

    @property
    def share(self):
        """Of the time that passed, what would not have passed without looks."""
        return self.truly_spent / self.now


def test_the_share_is_held_once_the_first_debt_is_paid():
    loop = Loop(Pace(0.01, None)).run(20_000)
    assert loop.looked[1] >= 400  # 4 s at a hundredth each, and the price of the next
    assert loop.share <= 0.008  # a fifth is kept back for what no clock sees
    assert loop.share > 0.0079 * 0.97
    gaps = {later - earlier for earlier, later in pairwise(loop.looked[12:])}
    assert max(gaps) - min(gaps) <= 1  # every 50 steps
    assert 49 <= min(gaps) <= 51


@pytest.mark.parametrize(
    "kinds",
    [
        {"ready": 0.1},
        {"call": 0.004},
        {"after": 0.15},
        {"ready": 0.1, "call": 0.004, "after": 0.15},
    ],
    ids=lambda kinds: "+".join(kinds),
)
def test_the_share_holds_all_that_looks_cost(kinds):
    """What is made ready ahead, calls that do nothing, and steps that are slower after a look."""
    loop = Loop(Pace(0.01, None), **kinds).run(30_000)
    assert 0.0072 < loop.share <= 0.0081
    assert loop.pace.share == pytest.approx(loop.share, rel=0.03)


def test_slower_steps_that_nobody_knows_of_yet_are_paid_as_a_tenth_of_a_look():
    loop = Loop(Pace(0.01, None), after=0.15).run(800)
    looks = len(loop.looked)
    assert 1 < looks < 8
    assert loop.pace.spent == pytest.approx(4.0 + looks * 0.44, abs=1e-2)


def test_most_calls_read_no_clock():
    loop = Loop(Pace(0.01, None)).run(20_000)
    assert len(loop.timed) < 20_000 / 3
    ahead = {step - 1 for step in loop.looked[1:]}
    assert ahead <= set(loop.timed)  # but the one at which a look is made ready


def test_a_call_that_reads_no_clock_is_charged():
    for step, price in ((5e-3, 1e-6), (1e-3, 5e-7)):
        loop = Loop(Pace(0.01, None), step=step, look=step, first=0.0).run(20_000)
        for_calls = loop.pace.spent - loop.truly_spent - 8 * 0.1 * loop.look  # not known as yet
        assert for_calls == pytest.approx(20_000 * price, rel=0.1)
        assert loop.pace.share <= 0.01


def test_steps_that_become_longer_while_no_clock_is_read_bring_no_more_looks():
    loop = Loop(Pace(0.01, None)).run(1000)
    loop.step = 100.0
    loop.run(2000)
    assert loop.share <= 0.01


def test_a_look_that_costs_more_than_thought_delays_the_next():
    loop = Loop(Pace(0.01, None)).run(1000)
    loop.look = 40.0
    loop.run(100)
    looked = len(loop.looked)
    loop.run(3900)
    assert len(loop.looked) == looked


def test_a_pause_earns_no_more_than_one_look():
    loop = Loop(Pace(0.5, None)).run(100)
    loop.now += 10_000.0
    looked = len(loop.looked)
    loop.run(4)
    assert len(loop.looked) - looked <= 4
    loop = Loop(Pace(0.01, None)).run(1000)
    loop.now += 10_000.0
    looked = len(loop.looked)
    loop.run(40)
    assert len(loop.looked) - looked <= 2


def test_every_so_many_steps_whatever_it_costs():
    pace = Pace(0.01, 7)
    assert [at for at in range(1, 30) if pace.due(at)] == [7, 14, 21, 28]
    assert [pace.untimed(at, None) for at in range(1, 15)] == [
        4,
        3,
        2,
        1,
        0,
        0,
        5,
        *range(4, -1, -1),
        0,
        5,
    ]
    assert pace.untimed(1, 44) == 46  # 49 is the first that is due, and 48 makes ready for it


def test_the_first_look_is_waited_for_without_a_clock():
    pace = Pace(0.01, None)
    assert [pace.untimed(1, first) for first in (2, 3, 4, 45, 400)] == [0, 0, 1, 42, 100]


def test_it_goes_on_where_it_was():
    one = Loop(Pace(0.01, None)).run(500).pace
    other = Pace(0.01, None)
    other.resume(one.state())
    assert other.state() == one.state()
    assert other.share == pytest.approx(one.share)
