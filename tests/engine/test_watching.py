"""Which modules ran, and what is said of numbers that a pass has written."""

from __future__ import annotations

import torch
from torch import nn

from varshift._engine.unread import _SHOWN, unread
from varshift._engine.watching import ran_of


def test_modules_that_ran_in_order_and_as_often():
    one, two, three = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    x = torch.ones(2)
    with ran_of([one, two, three]) as ran:
        two(one(two(x)))
    assert [id(each) for each in ran] == [id(two), id(one), id(two)]
    one(x)
    assert len(ran) == 3
    assert not one._forward_pre_hooks


def test_many_names_are_counted_and_some_are_shown():
    names = [f"layer{index}.scale" for index in range(_SHOWN + 2)]
    assert " and 2 more" in unread(names, noisy=True)
    assert names[_SHOWN - 1] in unread(names, noisy=True)
    assert names[_SHOWN] not in unread(names, noisy=True)
    assert " more" not in unread(names[:_SHOWN], noisy=True).split(";")[0].split(":")[0]
    assert names[_SHOWN - 1] in unread(names[:_SHOWN], noisy=True)
