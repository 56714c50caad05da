"""Whatever a forward can change in a model comes back, or is named: one model a kind of change."""

from __future__ import annotations

import collections
import dataclasses
import io
import itertools
import random
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import varshift as vs
from varshift._engine.borrow.model import borrowed


class Net(nn.Module):
    """A net with noise and a norm; `touch` is what its forward does beside."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 6), nn.Dropout(0.5), nn.BatchNorm1d(6))
        self.head = nn.Linear(6, 2)
        self.make()

    def make(self):
        pass

    def touch(self, x):
        raise NotImplementedError

    def forward(self, x):
        self.touch(x)
        return self.head(self.net(x))


def data():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(12, 3, generator=generator) for _ in range(3)]


def bits(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist()


def told(value, seen=None):
    """Everything in it by identity and value, as text and numbers that can be compared."""
    seen = set() if seen is None else seen
    if isinstance(value, (int, float, str, bool, type(None), np.generic)):
        return value
    if id(value) in seen:
        return id(value)
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        grad = value.grad if value.is_leaf else None
        found = (value.data_ptr(), value._version, value.requires_grad, bits(value))
        return (id(value), *found, told(grad, seen), told(value._backward_hooks, seen))
    if isinstance(value, dict):
        return id(value), [(str(key), told(item, seen)) for key, item in value.items()]
    if isinstance(value, (list, tuple, collections.deque)):
        own = told(vars(value), seen) if hasattr(value, "__dict__") else None
        return id(value), [told(item, seen) for item in value], own
    if isinstance(value, (set, frozenset)):
        return id(value), sorted(map(repr, value))
    if isinstance(value, np.ndarray):
        return id(value), value.tobytes(), value.shape
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return str(value.get_state())
    if isinstance(value, type):
        return [told(item, seen) for name, item in vars(value).items() if name[:2] != "__"]
    slots = [told(getattr(value, name, "empty"), seen) for name in getattr(value, "__slots__", ())]
    own = told(vars(value), seen) if hasattr(value, "__dict__") else None
    kind = told(type(value), seen) if isinstance(value, Net) else type(value)
    return id(value), kind, slots, own


def nothing(net):
    pass


def sets(**attributes):
    return lambda net: [setattr(net, name, made()) for name, made in attributes.items()]


class Slotted:
    __slots__ = ("n", "tensor", "unset")

    def __init__(self):
        self.n, self.tensor = 0, torch.zeros(2)


@dataclasses.dataclass(frozen=True)
class Frozen:
    held: list


class Own(dict):
    def clear(self):
        raise AssertionError("its own clear() is none of our business")


class OwnList(list):
    total = 0


class Cyclic:
    def __init__(self):
        self.me, self.n = self, 0


def max_norm(net, x):
    F.embedding(torch.arange(4), net.table, max_norm=0.1)


def first_batch(net, x):
    if not net.done:
        net.loc.data.copy_(-x.mean(0))
        net.done.fill_(True)


def parameter_in_place(net, x):
    with torch.no_grad():
        net.head.weight.clamp_(-0.01, 0.01)


def parameter_data(net, x):
    net.head.weight.data = net.head.weight.data * 2


def parameter_replaced(net, x):
    net.head.weight = nn.Parameter(net.head.weight.detach() + 1)


def registers_buffer(net, x):
    net.register_buffer("mask", torch.ones(3))


def registers_parameter(net, x):
    net.scale = nn.Parameter(torch.ones(3))


def registers_child(net, x):
    net.proj = nn.Linear(3, 3)


def replaces_child(net, x):
    net.head = nn.Linear(6, 2)


def removes_and_adds(net, x):
    """The order of the state_dict is the same too."""
    held = net._buffers.pop("one", None)
    if held is not None:
        net._buffers["one"] = held


def removes_buffer(net, x):
    if hasattr(net, "one"):
        del net.one


def hook_removes_itself(net, x):
    if net.head._forward_pre_hooks:
        net.head._forward_pre_hooks.popitem()


def hook_added(net, x):
    net.net[0].register_forward_hook(lambda module, args, kwargs, out: None, with_kwargs=True)
    net.net[0].register_state_dict_post_hook(lambda *args: None)
    net.net[0].register_full_backward_hook(lambda *args: None)


def hook_on_tensor(net, x):
    net.head.weight.register_hook(lambda grad: grad)


def generators(net, x):
    torch.rand(1, generator=net.torchs)
    net.numpys.random()
    net.legacy.rand()
    net.pythons.random()


def calls_backward(net, x):
    with torch.enable_grad():
        net.head(torch.ones(1, 6)).sum().backward()


def adds_to_a_gradient(net, x):
    if net.head.bias.grad is None:
        net.head.bias.grad = torch.ones(2)
    net.head.bias.grad.add_(1)


def requires_grad(net, x):
    net.head.weight.requires_grad_(False)
    net.stat.requires_grad_(True)


def array(net, x):
    net.array += 1
    net.arrays["deep"][0] = -0.0


def namespace(net, x):
    net.space.n += 1
    net.space.tensor.add_(1)
    net.space.added = x


def counter(net, x):
    net.counter["calls"] += 1
    net.own["stat"].add_(1)
    net.own["new"] = 1
    net.ordered.move_to_end("a")
    net.ownlist.append(1)
    net.ownlist.total += 1
    net.latest.append(x)


def slots(net, x):
    net.slotted.n += 1
    net.slotted.tensor.add_(1)
    net.slotted.unset = 3


def frozen(net, x):
    net.frozen.held.append(x)
    object.__setattr__(net.frozen, "extra", 1)


def cycle(net, x):
    net.cyclic.me.n += 1


def class_counter(net, x):
    type(net).calls += 1
    type(net).diary.append(1)


def class_swapped(net, x):
    net.net[1].__class__ = nn.Dropout1d


def parametrized(net, x):
    if not nn.utils.parametrize.is_parametrized(net.head):
        nn.utils.parametrizations.weight_norm(net.head)


def hidden_module(net, x):
    net.hidden[0].weight.data.add_(1)
    net.hidden[0].training = False
    net.hidden[0].extra = 1


def big_list(net, x):
    net.big[0].add_(1)
    net.big.append(1)


def tied(net, x):
    net.two.data.add_(1)


def iterators(net, x):
    next(net.lines)


KINDS = {
    touch.__name__: type(touch.__name__, (Net,), {"make": make, "touch": touch, **more})
    for touch, make, more in (
        (max_norm, sets(table=lambda: nn.Parameter(torch.ones(4, 3))), {}),
        (
            first_batch,
            lambda net: (
                setattr(net, "loc", nn.Parameter(torch.zeros(3))),
                net.register_buffer("done", torch.tensor(False)),
            ),
            {},
        ),
        (parameter_in_place, nothing, {}),
        (parameter_data, nothing, {}),
        (parameter_replaced, nothing, {}),
        (registers_buffer, nothing, {}),
        (registers_parameter, nothing, {}),
        (registers_child, nothing, {}),
        (replaces_child, nothing, {}),
        (
            removes_and_adds,
            lambda net: [net.register_buffer(name, torch.ones(1)) for name in ("one", "two")],
            {},
        ),
        (removes_buffer, lambda net: net.register_buffer("one", torch.ones(1)), {}),
        (
            hook_removes_itself,
            lambda net: net.head.register_forward_pre_hook(lambda module, args: None),
            {},
        ),
        (hook_added, nothing, {}),
        (hook_on_tensor, nothing, {}),
        (
            generators,
            sets(
                torchs=torch.Generator,
                numpys=lambda: np.random.default_rng(0),
                legacy=lambda: np.random.RandomState(0),
                pythons=lambda: random.Random(0),
            ),
            {},
        ),
        (calls_backward, nothing, {}),
        (
            adds_to_a_gradient,
            lambda net: setattr(net.head.bias, "grad", torch.zeros(2)),
            {},
        ),
        (requires_grad, lambda net: net.register_buffer("stat", torch.ones(1)), {}),
        (
            array,
            sets(
                array=lambda: np.array([1.0, np.nan, 0.0]),
                arrays=lambda: {"deep": np.zeros((2, 2)).T},
            ),
            {},
        ),
        (namespace, sets(space=lambda: types.SimpleNamespace(n=0, tensor=torch.zeros(2))), {}),
        (
            counter,
            sets(
                counter=collections.Counter,
                own=lambda: Own(stat=torch.zeros(2)),
                ordered=lambda: collections.OrderedDict(a=1, b=2),
                ownlist=OwnList,
                latest=lambda: collections.deque([1, 2], maxlen=2),
            ),
            {},
        ),
        (slots, sets(slotted=Slotted), {}),
        (frozen, sets(frozen=lambda: Frozen([])), {}),
        (cycle, sets(cyclic=Cyclic), {}),
        (class_counter, nothing, {"calls": 0, "diary": []}),
        (class_swapped, nothing, {}),
        (parametrized, nothing, {}),
        (hidden_module, sets(hidden=lambda: [nn.Linear(2, 2)]), {}),
        (big_list, sets(big=lambda: [torch.zeros(1) for _ in range(1001)]), {}),
        (tied, lambda net: setattr(net, "two", net.head.weight), {}),
        (iterators, sets(lines=lambda: iter([0] * 10_000)), {}),
    )
}
VERBS = {
    "inspect": lambda net: vs.inspect(net, data()[0]),
    "measure": lambda net: vs.measure(net, data()),
    "predict": lambda net: vs.predict(net, example=data()[0]),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("change", KINDS)
def test_it_comes_back(change, verb):
    net = KINDS[change]()
    before, keys = told(net), list(net.state_dict())
    VERBS[verb](net)
    assert list(net.state_dict()) == keys
    assert told(net) == before
    if change == "iterators":
        assert len(list(net.lines)) == 10_000


@pytest.mark.parametrize("change", KINDS)
def test_the_forward_does_change_something(change):
    """Each kind is one: without a loan, the same pass leaves a mark."""
    net = KINDS[change]()
    net.eval()
    before = told(net)
    with torch.no_grad():
        net(data()[0])
    assert told(net) != before or change == "iterators"


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
    net = KINDS["parameter_in_place"]()
    out = net.head(net.net(data()[0])).square().sum()
    vs.measure(net, data())
    out.backward()
    assert net.head.weight.grad is not None


def test_an_enclosing_loan_copies_a_large_parameter_once():
    net = Net()
    net.touch = lambda x: None
    net.wide = nn.Parameter(torch.zeros(200, 200))
    with borrowed(net), borrowed(net) as inner:
        with torch.no_grad():
            inner.wide.add_(1)  # seen by its version
    assert not net.wide.any()
    with borrowed(net), borrowed(net) as inner:
        inner.wide.data.add_(1)  # not seen by the inner one; the outer one compares
    assert not net.wide.any()
