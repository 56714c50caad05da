"""What a batch holds, whatever class it is of, and copies of it in which something is other."""

from __future__ import annotations

import copy
import dataclasses
from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine.batches import Batch, piece
from varshift._engine.nested import copied, first_item, items_of, mapped, tensors_of, with_item

X, Y = torch.arange(36.0).view(12, 3), torch.arange(12)


@dataclasses.dataclass
class Plain:
    x: torch.Tensor
    y: torch.Tensor
    name: str = "plain"
    made: list[Any] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.made.append(1)  # what is copied is not made again

    def to(self, device):
        raise AssertionError("a `to` of one's own may move the lent batch itself")


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: torch.Tensor
    y: torch.Tensor
    hidden: int = dataclasses.field(default=3, init=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Slots:
    x: torch.Tensor
    y: torch.Tensor


@dataclasses.dataclass
class Outer:
    inner: Any
    names: list[str]


class Object:
    """A batch class of somebody's own."""

    def __init__(self, x, y):
        self.x, self.y, self.meta = x, y, {"id": 3}


class Cyclic(Object):
    def __init__(self, x, y):
        super().__init__(x, y)
        self.own = self


Pair = namedtuple("Pair", "x y")

BATCHES = {
    "dataclass": Plain(X, Y),
    "frozen": Frozen(X, Y),
    "slots": Slots(X, Y),
    "namespace": SimpleNamespace(x=X, y=Y, n=3),
    "object": Object(X, Y),
    "in a tuple": (Frozen(X, Y), "name"),
    "in a named tuple": Pair(Slots(X, Y), None),
    "in a dict": {"batch": Plain(X, Y)},
    "within another": Outer(Outer(Plain(X, Y), ["a"] * 12), ["b"] * 12),
    "with lists of tensors": Outer([X, Y], ["c"] * 12),
}


def attrs_batch():
    attr = pytest.importorskip("attr")
    made = attr.make_class("Made", ["x", "y"], slots=True, frozen=True)
    return made(X, Y)


@pytest.mark.parametrize("form", [*BATCHES, "attrs"])
def test_tensors_are_found_copied_and_cut(form):
    value = attrs_batch() if form == "attrs" else BATCHES[form]
    assert [tensor is held for tensor, held in zip(tensors_of(value), (X, Y), strict=True)] == [
        True,
        True,
    ]
    twice = mapped(value, lambda tensor: tensor * 2, "to")
    assert type(twice) is type(value)
    assert all(map(torch.equal, tensors_of(twice), (X * 2, Y * 2)))
    few = piece(Batch(0, value, 12), 2, 5)
    assert few.samples == 3
    assert all(map(torch.equal, tensors_of(few.value), (X[2:5], Y[2:5])))
    assert [tensor is held for tensor, held in zip(tensors_of(value), (X, Y), strict=True)] == [
        True,
        True,
    ]


def test_what_is_no_tensor_is_carried_along():
    held = Plain(X, Y)
    copied = mapped(held, torch.clone)
    assert (copied.name, copied.made) == ("plain", [1])
    assert mapped(Frozen(X, Y), torch.clone).hidden == 3
    cut = piece(Batch(0, Outer(Plain(X, Y), list("abcdefghijkl")), 12), 0, 2)
    assert cut.value.names == ["a", "b"]


def test_one_that_holds_itself_ends():
    assert len(list(tensors_of(Cyclic(X, Y)))) >= 2
    assert torch.equal(mapped(Cyclic(X, Y), lambda tensor: tensor + 1).x, X + 1)


def test_what_is_no_batch_is_left_alone():
    for held in (nn.Linear(2, 2), "text", 3, None, Plain, object(), torch.Size([2])):
        assert list(tensors_of(held)) == []
        assert mapped(held, torch.clone, "to") is held or held == torch.Size([2])
    vocabulary = SimpleNamespace(words={str(i): i for i in range(100)})
    assert items_of(vocabulary) == {}


@pytest.mark.parametrize("form", ["dataclass", "frozen", "slots", "namespace", "object"])
def test_items_by_name(form):
    value = BATCHES[form]
    assert items_of(value)["x"] is X
    other = with_item(value, "y", X)
    assert (other.y, value.y) == (X, Y) or (other.y is X and value.y is Y)


def test_items_by_place():
    assert list(items_of((X, Y))) == [0, 1]
    assert list(items_of(Pair(X, Y))) == ["x", "y"]
    assert with_item((X, Y), 1, X)[1] is X
    assert with_item(Pair(X, Y), "y", X).y is X
    assert with_item({"a": X, "b": Y}, "b", X)["b"] is X
    assert first_item(Frozen(X, Y)) is X
    assert first_item(SimpleNamespace(x=X)).x is X


def test_a_graph_answers_for_itself():
    geometric = pytest.importorskip("torch_geometric.data")
    graph = geometric.Data(x=X, y=Y)
    assert [id(tensor) for tensor in tensors_of(graph)] == [id(X), id(Y)]
    assert with_item(graph, "y", X).y is X
    assert graph.y is Y
    assert piece(Batch(0, graph, 12), 0, 3) is None


def test_the_lent_batch_stays_as_it_was():
    """Layers that work in place write into their input."""
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(0.5), nn.BatchNorm1d(3))
    held = Frozen(X - 18, Y)
    before = copy.deepcopy(held)
    vs.measure(net, [held])
    assert torch.equal(held.x, before.x)
    vs.measure(net, [SimpleNamespace(x=held.x)], forward=lambda model, batch: model(batch.x))
    assert torch.equal(held.x, before.x)


def test_all_samples_are_counted():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    assert vs.measure(net, [Frozen(X, Y)] * 3).samples == 36
    assert vs.measure(net, [Slots(X, Y)] * 3, max_samples=20).samples == 20
    with pytest.raises(vs.DataError, match="batch 0 is a Outer"):
        vs.measure(net, [Outer("x", [])])


class WithSlots:
    """Holds its batch in slots."""

    __slots__ = ("names", "x")

    def __init__(self, x):
        self.x, self.names = x, ["a"]


HELD = {
    "an array": lambda x: {"x": x.numpy()},
    "an object with slots": WithSlots,
    "an object with an array": lambda x: SimpleNamespace(x=x.numpy()),
    "an object with a dict": lambda x: SimpleNamespace(own={"x": x}),
    "a dataclass with an array": lambda x: Plain(x.numpy(), Y),
}


def inside(batch):
    """Its input, as a tensor that shares its memory."""
    batch = batch["x"] if isinstance(batch, dict) else batch
    batch = batch.own["x"] if hasattr(batch, "own") else getattr(batch, "x", batch)
    return torch.as_tensor(batch)


@pytest.mark.parametrize("form", HELD)
def test_what_a_forward_writes_into_is_a_copy(form):
    lent = HELD[form](X.clone())
    copy = copied(lent)
    assert type(copy) is type(lent)
    assert torch.equal(inside(copy), X)
    inside(copy).zero_()
    assert torch.equal(inside(lent), X)


@pytest.mark.parametrize("form", HELD)
def test_a_measurement_leaves_the_batches_as_they_were_lent(form):
    x = torch.randn(64, 3)
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    lent = [HELD[form](part.clone()) for part in x.split(32)]

    def halves(model, batch):
        return model(inside(batch).div_(2))

    torch.manual_seed(0)
    found = vs.measure(model, lent, forward=halves)
    torch.manual_seed(0)
    plain = vs.measure(model, list((x / 2).split(32)))
    assert found.sites["1"].shift == pytest.approx(plain.sites["1"].shift, rel=1e-6)
    assert torch.equal(torch.cat([inside(batch) for batch in lent]), x)
