"""When a look is due, on a clock that the test moves."""

from __future__ import annotations

from itertools import pairwise

import pytest

from varshift._monitor.pace import Pace


class Clock:
    def __init__(self, pace):
        self.now, pace.clock = 0.0, lambda: self.now


def run(pace, clock, steps, step=1.0, cost=0.4, first=4.0):
    """Steps of so long, a first look that costs more, and which steps were looked at."""
    looked = []
    for at in range(1, steps + 1):
        clock.now += step
        since = pace.enter()
        if at == 1 or pace.due(at):
            clock.now += first if at == 1 else cost
            pace.paid(since, look=at != 1)
            looked.append(at)
            if at == 1:
                pace.paid(clock.now, look=True)  # what a look costs is known from now on
                pace._cost = cost
    return looked


def test_the_share_is_held_once_the_first_debt_is_paid():
    pace = Pace(0.01, None)
    looked = run(pace, Clock(pace), 20_000)
    assert looked[1] >= 400  # 4 s at a hundredth each, and the price of the next
    assert pace.share <= 0.01
    assert pace.share > 0.0099 * 0.97
    gaps = {later - earlier for earlier, later in pairwise(looked[1:])}
    assert max(gaps) - min(gaps) <= 1  # every 40 steps
    assert 39 <= min(gaps) <= 41


def test_a_look_that_costs_more_than_thought_delays_the_next():
    pace = Pace(0.01, None)
    clock = Clock(pace)
    run(pace, clock, 1000)
    since = pace.enter()
    clock.now += 40.0
    pace.paid(since, look=True)
    later = 0
    while not pace.due(0):
        later += 1
        clock.now += 1.0
        pace.enter()
    assert later > 3900


def test_a_pause_earns_no_more_than_one_look():
    pace = Pace(0.5, None)
    clock = Clock(pace)
    run(pace, clock, 100)
    clock.now += 10_000.0
    since = pace.enter()
    assert pace.due(0)
    clock.now += 0.4
    pace.paid(since, look=True)
    assert not pace.due(0)


def test_every_so_many_steps_whatever_it_costs():
    pace = Pace(0.01, 7)
    assert [at for at in range(1, 30) if pace.due(at)] == [7, 14, 21, 28]


def test_it_goes_on_where_it_was():
    one = Pace(0.01, None)
    run(one, Clock(one), 500)
    other = Pace(0.01, None)
    other.resume(one.state())
    assert other.state() == one.state()
    assert other.share == pytest.approx(one.share)
