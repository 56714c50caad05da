"""When a run is stopped for what it holds, and how many samples it says would fit."""

from __future__ import annotations

import pytest

from varshift._engine import memory
from varshift.errors import MemoryBoundError

MIB = 1 << 20


@pytest.fixture
def machine(monkeypatch):
    """What the process holds, what is free, and the time."""
    state = {"held": 100 * MIB, "free": 1000 * MIB, "now": 0.0}
    monkeypatch.setattr(memory, "_resident", lambda: state["held"])
    monkeypatch.setattr(memory, "_available", lambda: state["free"])
    monkeypatch.setattr(memory.time, "monotonic", lambda: state["now"])
    return state


def test_what_is_asked_for_is_looked_at_each_time(machine):
    bound = memory.MemoryBound(50 * MIB)
    machine["held"] = 150 * MIB
    bound.check(10, 2)  # just as much
    machine["held"] = 200 * MIB
    match = "100 samples in 4 micro-batches take 100 MiB of live activations, more than max_bytes"
    with pytest.raises(MemoryBoundError, match=match) as raised:
        bound.check(100, 4)
    assert raised.value.fits == 40  # of 100, half of them, less a fifth
    assert "(50 MiB); pass max_samples=40 or less" in str(raised.value)


def test_what_is_free_is_looked_at_twenty_times_a_second(machine):
    bound = memory.MemoryBound()
    bound.check(10, 1)
    machine["held"] = 1200 * MIB
    machine["now"] = 0.049
    bound.check(10, 1)
    machine["now"] = 0.051
    with pytest.raises(MemoryBoundError, match="more than 80% of the free memory"):
        bound.check(10, 1)


def test_where_nothing_is_known_there_is_no_bound(machine):
    machine["free"] = None
    bound = memory.MemoryBound()
    machine["held"] = 1 << 60
    bound.check(10, 1)
    machine["held"] = None
    memory.MemoryBound(1).check(10, 1)


@pytest.mark.parametrize(
    ("size", "said"),
    [(12, "12 B"), (2048, "2 KiB"), (3 * MIB, "3 MiB"), (5.5 * 1024 * MIB, "5.5 GiB")],
)
def test_sizes_are_for_people(size, said):
    assert memory._size(size) == said
