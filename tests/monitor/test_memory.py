"""What is remembered of looks: bounded, in order, the recent ones whole."""

from __future__ import annotations

import torch

from varshift._monitor.memory import remember, remembered, told
from varshift.results import Monitored, MonitoredNorm


def record(step):
    delta = torch.tensor([0.5, 0.25], dtype=torch.float64)
    return Monitored(
        step, 1.0 * step, 0.1, {"norm": MonitoredNorm("norm", delta, 0.4, 0.1, 2.5, 0.3, 2.0, 8)}
    )


def test_a_long_run_is_kept_in_bounds():
    history: list[Monitored] = []
    for step in range(1, 20_001):
        remember(history, record(step))
    steps = [each.step for each in history]
    assert 1000 <= len(history) <= 2000
    assert steps == sorted(set(steps))
    assert steps[0] == 1
    assert steps[-1000:] == list(range(19_001, 20_001))
    assert all(len(each.norms["norm"].delta) == 2 for each in history[-100:])
    assert all(len(each.norms["norm"].delta) == 0 for each in history[:-100])
    assert all(each.norms["norm"].severity == 2.5 for each in history)


def test_what_is_told_is_remembered():
    one = record(7)
    other = remembered(told(one))
    assert (other.step, other.seconds, other.cost) == (one.step, one.seconds, one.cost)
    assert torch.equal(other.norms["norm"].delta, one.norms["norm"].delta)
    assert vars(other.norms["norm"]).keys() == vars(one.norms["norm"]).keys()
