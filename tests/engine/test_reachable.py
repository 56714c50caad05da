"""What data may be made of is found, whatever stands before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from varshift._engine.reachable import reachable


class Held:
    """What an iterable of the user's may hold."""


class Data:
    def __init__(self, *parts):
        self.first, self.second = parts


@pytest.mark.parametrize(
    "before", [None, torch.zeros(2), np.zeros(2), "text", b"bytes", 1, 1.5, int, torch]
)
def test_what_nothing_is_in_does_not_hide_what_comes_behind(before):
    held = Held()
    assert any(each is held for each in reachable(Data(before, held)))
    assert any(each is held for each in reachable([before, held]))
    assert not any(each is before for each in reachable([before, held]))


def test_an_object_is_met_once_and_a_ring_ends():
    held = Held()
    ring = [held, held]
    ring.append(ring)
    assert [id(each) for each in reachable(ring)] == [id(ring), id(held)]
