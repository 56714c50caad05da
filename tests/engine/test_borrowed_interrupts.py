"""An interrupt at any line of lending and of giving back: everything comes back all the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from faults.features import (
    FEATURES,
    Slotted,
    adds_to_a_gradient,
    data,
    flags,
    max_norm,
    slots,
)
from faults.injecting import BORROWING, Lines
from faults.marks import process, told
from varshift._engine.borrow import loan, turns
from varshift._engine.borrow.model import borrowed


class Much(FEATURES["counter"]):
    """Many kinds of change at once."""

    def make(self):
        super().make()
        self.table = nn.Parameter(torch.ones(4, 3))
        self.head.bias.grad = torch.zeros(2)
        self.generator = torch.Generator()
        self.array = np.zeros(2)
        self.slotted = Slotted()

    def touch(self, x):
        super().touch(x)
        max_norm(self, x)
        adds_to_a_gradient(self, x)
        slots(self, x)
        flags(self, x)
        torch.rand(1, generator=self.generator)
        self.array += 1
        self.scale = nn.Parameter(torch.ones(1))
        self.head.register_forward_hook(lambda *args: None)
        del self.net[1]

    def train(self, mode=True):
        super().train(mode)
        self.head.eval()
        return self


def lent(at):
    """One loan, interrupted at those lines; whether the model and the process came back."""
    net = Much()
    before, around = told(net), process()
    with Lines(BORROWING, at) as lines, borrowed(net) as inner:
        inner(data()[0])
    return lines, told(net) == before and process() == around


def lines_of_a_loan():
    lent([])  # what is loaded at first use runs lines of its own
    return lent([])[0].count


def test_an_interrupt_at_any_line():
    total = lines_of_a_loan()
    assert total > 2000
    for at in range(1, total - 300, 61):  # every line would take minutes
        interrupted_at([at])


def test_an_interrupt_at_every_one_of_the_last_lines():
    """The end of the giving back, where nothing more would come after."""
    total = lines_of_a_loan()
    for at in range(total - 80, total + 1):
        interrupted_at([at])


@pytest.mark.parametrize("second", [1, 2, 3, 8, 40, 200])
def test_an_interrupt_in_what_repeats_the_giving_back(second):
    total = lines_of_a_loan()
    for at in range(total - 1200, total - 40, 193):
        interrupted_at([at, second])


def interrupted_at(at):
    net = Much()
    before, around = told(net), process()
    with pytest.raises(KeyboardInterrupt), Lines(BORROWING, at), borrowed(net) as inner:
        inner(data()[0])
    assert told(net) == before, at
    assert process() == around, at
    assert not turns._IN_TURN, at
    assert not turns._IN_USE, at
    assert not loan._open.loans, at


def test_the_interrupt_goes_on_when_all_is_given_back():
    net, states = Much(), []

    class Trains(Much):
        def train(self, mode=True):
            if not states:
                states.append("interrupted")
                raise KeyboardInterrupt
            return super().train(mode)

    net = Trains()
    before = told(net)
    with pytest.raises(KeyboardInterrupt), borrowed(net) as inner:
        inner(data()[0])
    assert told(net) == before
    assert states == ["interrupted"]


def test_a_train_of_the_users_that_fails_is_named():
    class Fails(Much):
        def train(self, mode=True):
            raise RuntimeError("merged already")

    net, notes = Fails(), []
    before = told(net)
    with borrowed(net, notes) as inner:
        inner(data()[0])
    assert told(net) == before
    assert notes == ["the model's own train(True) raised: merged already"]


def test_an_error_on_its_way_says_what_is_not_given_back():
    net = FEATURES["uncountable"]()

    def fail(inner):
        inner(data()[0])
        raise ValueError

    with pytest.raises(ValueError) as raised, borrowed(net) as inner:
        fail(inner)
    assert "'numbers' (a count)" in raised.value.__notes__[0]
