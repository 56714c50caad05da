"""One module's attributes as they were, where a wrapper of its own keeps its parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine.borrow.modules import KeptModule
from varshift._engine.borrow.objects import of_others
from varshift._engine.borrow.slots import KeptSlots
from varshift._engine.borrow.tensors import parts_of


class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen, self.last, self.history = 3, None, [1, 2]
        self.weight = nn.Parameter(torch.ones(2))
        self.scratch = torch.zeros(2)


@pytest.mark.parametrize("within_shards", [False, True])
def test_attributes_come_back_and_new_ones_go(within_shards):
    net = Bare()
    before = dict(vars(net))
    kept = KeptModule(net, within_shards)
    net.seen, net.history, net.fresh = 4, [], 5
    del net.last  # None is a value too
    kept.restore()
    assert list(before) == list(vars(net)) or within_shards
    assert before.keys() == vars(net).keys()
    assert all(vars(net)[name] is value for name, value in before.items())


def test_what_a_wrapper_of_shards_holds_is_its_own():
    net = Bare()
    kept = KeptModule(net, within_shards=True)
    other, sharded = torch.ones(2), nn.Parameter(torch.zeros(1))
    net.scratch, net._parameters["weight"] = other, sharded
    net.gathered = torch.ones(3)
    kept.restore()
    assert net.scratch is other
    assert net.weight is sharded
    assert "gathered" in vars(net)
    assert not any(name == "weight" for name, _ in kept.followed)


def test_a_class_that_was_changed_for_the_time_comes_back():
    net = Bare()
    kept = KeptModule(net, within_shards=False)
    net.__class__ = type("Other", (Bare,), {})
    kept.restore()
    assert type(net) is Bare


@pytest.mark.parametrize(
    ("home", "others"),
    [
        ("lightning.pytorch.trainer", True),
        ("wandb", True),
        ("wandbish.sdk", False),
        ("mine.lightning", False),
        (None, False),
    ],
)
def test_what_hangs_on_a_model_and_belongs_to_others(home, others):
    """A trainer or a logger counts on while a model is borrowed: nothing of it is put back."""
    assert of_others(type("Trainer", (), {"__module__": home})()) is others


def test_the_trainer_of_a_model_counts_on():
    class Trainer:
        __module__ = "lightning.pytorch.trainer"
        passes = 0

    class Counter(Trainer):
        __module__ = "mine"

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.trainer, self.counter = Trainer(), Counter()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(3)

        def forward(self, x):
            self.trainer.passes += 1
            self.counter.passes += 1
            return self.norm(self.drop(x))

    net = Net()
    vs.measure(net, [torch.randn(8, 3)])
    assert net.trainer.passes > 0
    assert net.counter.passes == 0


class Slotted:
    __slots__ = ("empty", "filled", "gone", "none")


def test_slots_are_filled_and_emptied_as_they_were():
    value = Slotted()
    value.filled, value.gone, value.none = [1], 2, None
    before, kept = value.filled, KeptSlots.of(value)
    assert dict(kept.items()) == {"filled": before, "gone": 2, "none": None}
    kept.restore()  # nothing was changed, nothing is to be done
    value.empty, value.filled = 3, [4]
    del value.gone, value.none
    for _ in range(2):
        kept.restore()
        assert not hasattr(value, "empty")
        assert value.filled is before
        assert (value.gone, value.none) == (2, None)
    assert KeptSlots.of(object()) is None


def test_a_wrapper_is_kept_by_the_tensors_that_it_wraps():
    class Wraps(torch.Tensor):
        """As torch's own tests wrap two tensors; a DTensor wraps its shard."""

        @staticmethod
        def __new__(cls, one, other):
            return torch.Tensor._make_wrapper_subclass(cls, one.shape, dtype=one.dtype)

        def __init__(self, one, other):
            self.one, self.other = one, other

        @classmethod
        def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
            raise NotImplementedError

        def __tensor_flatten__(self):
            return ["one", "other"], None

    one, other = torch.ones(2), nn.Parameter(torch.zeros(2))
    inner = Wraps(one, other)
    for tensor, expected in (
        (one, [one]),
        (inner, [one, other]),
        (Wraps(inner, one), [one, other, one]),
    ):
        assert list(map(id, parts_of(tensor))) == list(map(id, expected))
