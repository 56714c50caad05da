"""Whatever a forward can change in a model comes back, or is named: one model a kind of change."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import torch
from torch import nn

import varshift as vs
from faults.features import FEATURES, Net, data
from faults.marks import process, told
from varshift._engine.borrow.model import borrowed

VERBS = {
    "inspect": lambda net: vs.inspect(net, data()[0]),
    "measure": lambda net: vs.measure(net, data()),
    "predict": lambda net: vs.predict(net, example=data()[0]),
}


NAMED = {"uncountable"}  # what cannot come back is named instead, below
WHILE_IT_RUNS = {"contexts", "default_dtype"}  # the forward itself puts these back


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("change", sorted(FEATURES.keys() - NAMED))
def test_it_comes_back(change, verb):
    net = FEATURES[change]()
    before, around, keys = told(net), process(), list(net.state_dict())
    VERBS[verb](net)
    assert list(net.state_dict()) == keys
    assert told(net) == before
    assert process() == around


@pytest.mark.parametrize("change", sorted(FEATURES.keys() - WHILE_IT_RUNS))
def test_the_forward_does_change_something(change):
    """Each kind is one: without a loan, the same pass leaves a mark."""
    net = FEATURES[change]()
    net.eval()
    before = told(net), process()
    with torch.no_grad():
        net(data()[0])
    assert (told(net), process()) != before


class Odd(Net):
    def make(self):
        self.count = itertools.count()
        self.numbers = (n for n in itertools.count())
        self.file = io.StringIO()

    def touch(self, x):
        next(self.count)
        next(self.numbers)
        self.file.write("line")


def test_what_cannot_come_back_is_named():
    net, notes = Odd(), []
    with borrowed(net, notes) as inner:
        inner(data()[0])
    assert sorted(note.partition(" (")[0] for note in notes) == ["'count'", "'file'", "'numbers'"]
    assert "'count' (a count) was changed by a forward and could not be put back" in notes
    with pytest.warns(UserWarning, match="'count'"), borrowed(net) as inner:
        inner(data()[0])  # nobody asked: it is said all the same


def test_what_is_not_moved_is_not_named():
    net, notes = Odd(), []
    with borrowed(net, notes):
        pass
    assert notes == []


def test_the_outer_loan_hears_of_what_an_inner_one_could_not_put_back():
    net, notes = Odd(), []
    with borrowed(net, notes) as inner, borrowed(inner):
        inner(data()[0])
    assert any("'count'" in note for note in notes)


class Endless(Net):
    def make(self):
        self.words = [[n] for n in range(30_000)]

    def touch(self, x):
        self.words.append(1)


def test_more_objects_than_are_looked_into_are_named():
    net, notes = Endless(), []
    with borrowed(net, notes) as inner:
        inner(data()[0])
    assert len(net.words) == 30_000  # which objects it holds is put back all the same
    assert "more than 20,000 objects hang on the model" in notes[0]


def test_a_parameter_too_large_to_copy_is_named(monkeypatch):
    from varshift._engine.borrow.room import Room

    monkeypatch.setattr(Room, "takes", lambda room, tensor: False)

    class Large(Net):
        def make(self):
            self.table = nn.Parameter(torch.zeros(300, 300))

        def touch(self, x):
            if x[0, 0] > 0:
                self.table.data[7, 7] = 1.0

    net = Large()
    for sign, named in ((-1.0, []), (1.0, ["'table'"])):
        notes = []
        with borrowed(net, notes) as inner:
            inner(torch.full((4, 3), sign))
        assert [note.partition(" was written")[0] for note in notes] == named


def test_memory_that_was_freed_holds_the_same_values_again():
    net = Net()
    net.touch = lambda x: net.head.weight.untyped_storage().resize_(0)
    before = net.head.weight.detach().clone()
    with borrowed(net) as inner:
        inner.touch(None)
    assert torch.equal(net.head.weight, before)


def test_nothing_is_written_where_nothing_changed():
    """A graph of the user's, and memory that may only be read, are safe."""
    array = np.ones(3, dtype=np.float32)
    net = Net()
    net.touch = lambda x: None
    net.register_buffer("mapped", torch.from_numpy(array))
    loss = net(data()[0]).sum()
    versions = [p._version for p in net.parameters()]
    writes = []

    class Watching(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if "copy_" in str(func):
                writes.append(func)
            return func(*args, **(kwargs or {}))

    with Watching(), borrowed(net):
        pass
    assert writes == []
    assert [p._version for p in net.parameters()] == versions
    loss.backward()


def test_a_graph_survives_a_forward_that_writes():
    """The bits are back, and with them the version that the graph has noted."""
    net = FEATURES["parameter_in_place"]()
    out = net.head(net.net(data()[0])).square().sum()
    vs.measure(net, data())
    out.backward()
    assert net.head.weight.grad is not None


def test_an_enclosing_loan_copies_a_large_parameter_once():
    net = Net()
    net.touch = lambda x: None
    net.wide = nn.Parameter(torch.zeros(200, 200))
    with borrowed(net), borrowed(net) as inner, torch.no_grad():
        inner.wide.add_(1)  # seen by its version
    assert not net.wide.any()
    with borrowed(net), borrowed(net) as inner:
        inner.wide.data.add_(1)  # not seen by the inner one; the outer one compares
    assert not net.wide.any()


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0
        self.diary = torch.jit.Attribute([1], list[int])
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.diary.append(2)
        return self.norm(x)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_what_a_scripted_part_counts_comes_back():
    part = torch.jit.script(Scripted())
    net = nn.Sequential(nn.Dropout(0.5), part)
    before = part.norm.running_mean.clone()
    with borrowed(net) as inner:
        inner(data()[0])
        assert part.calls == 1
    assert (part.calls, part.diary) == (0, [1])
    assert torch.equal(part.norm.running_mean, before)


class WithSlots(Net):
    __slots__ = ("cell",)

    def make(self):
        self.cell = [1]

    def touch(self, x):
        self.cell.append(2)
        self.cell = 3


def test_slots_of_a_module_come_back():
    net = WithSlots()
    cell = net.cell
    with borrowed(net) as inner:
        inner(data()[0])
    assert net.cell is cell
    assert cell == [1]
