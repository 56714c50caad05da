"""What modules keep in lists, dicts and sets comes back too, and statistics there are seen."""

from __future__ import annotations

import contextlib
from collections import deque

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import varshift as vs
from problems.steady import steady
from varshift._engine.borrow.containers import Containers


class Listed(nn.Module):
    """Statistics where no buffer is, and a diary of its forwards."""

    def __init__(self):
        super().__init__()
        self.pair = [torch.zeros(4), torch.ones(4)]
        self.named = {"deep": {"mean": torch.zeros(4), "var": torch.ones(4)}}
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 2)
        self.diary, self.cache, self.met = [], {}, set()
        self.latest = deque([0], maxlen=3)

    def forward(self, x):
        self.diary.append(x.shape)
        self.cache["x"] = x
        self.met.add(len(self.diary))
        self.latest.append(len(self.diary))
        x = F.batch_norm(self.drop(x), *self.pair, training=self.training)
        held = self.named["deep"]
        x = F.batch_norm(self.drop(x), held["mean"], held["var"], training=self.training)
        return self.head(x)


class Buffered(Listed):
    """The twin, as torch wants it."""

    def __init__(self):
        super().__init__()
        for name, tensor in (("a", self.pair[0]), ("b", self.pair[1])):
            self.register_buffer(name, tensor)
        self.register_buffer("c", self.named["deep"]["mean"])
        self.register_buffer("d", self.named["deep"]["var"])
        self.pair, self.named = (), {}

    def forward(self, x):
        x = F.batch_norm(self.drop(x), self.a, self.b, training=self.training)
        return self.head(F.batch_norm(self.drop(x), self.c, self.d, training=self.training))


def loader(n=5):
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(64, 4, generator=generator) * 2 + 1 for _ in range(n)]


def state(net):
    tensors = (*net.pair, *net.named["deep"].values())
    return (
        [(id(t), t.data_ptr(), t.tolist()) for t in tensors],
        (list(net.diary), dict(net.cache), set(net.met), list(net.latest)),
        [id(held) for held in (net.pair, net.named, net.diary, net.cache, net.met, net.latest)],
    )


def repaired_and_undone(net):
    done = vs.repair(net, loader(), method="recalibrate", seed=0)
    if done.accepted:
        done.undo()


VERBS = {
    "inspect": lambda net: vs.inspect(net, loader()[0]),
    "measure": lambda net: vs.measure(net, loader()),
    "explain": lambda net: vs.explain(net, loader(), test_data=loader()),
    "predict": lambda net: vs.predict(net, loader()),
    "check": lambda net: vs.check(net, data=loader()),
    "footprint": lambda net: vs.footprint(net, loader()),
    "relocate": lambda net: vs.relocate(net, loader()[0]).undo(),
    "recalibrate": lambda net: vs.recalibrate(net, loader()).undo(),
    "repair": lambda net: repaired_and_undone(net),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_leaves_no_trace(verb):
    net = Listed()
    net.latest.extend((1, 2, 3))
    before = state(net)
    refused = vs.ModelError if verb == "footprint" else ()  # of norms that were never trained
    with contextlib.suppress(refused):
        VERBS[verb](net)
    assert state(net) == before


class Rebinding(Listed):
    """Puts new lists in the place of the old."""

    def forward(self, x):
        out = super().forward(x)
        self.pair = [tensor + 1 for tensor in self.pair]
        self.fresh = [x]
        return out


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "footprint"])
def test_what_a_forward_binds_anew_is_bound_as_before(verb):
    net = Rebinding()
    before = state(net)
    if verb == "recalibrate":  # it writes, and there is nothing to write to
        with pytest.raises(vs.ModelError, match="other tensors after a forward than before"):
            VERBS[verb](net)
    else:
        VERBS[verb](net)
    assert state(net) == before
    assert not hasattr(net, "fresh")


class Rough(nn.Module):
    """Does to its tensors what batch norm would not."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.held = [torch.ones(3), torch.ones(3), torch.ones(3), torch.ones(1).expand(4)]
        self.odd = [torch.ones(2, dtype=torch.cfloat).conj()]

    def forward(self, x):
        self.held[0].resize_(5)
        self.held[1].data = torch.zeros(3)
        self.held[2].zero_()
        self.held[3].data[:1] = 7.0
        return self.norm(x)


def test_resized_replaced_and_expanded_tensors_come_back():
    net = Rough()
    places = [tensor.data_ptr() for tensor in net.held[1:]]  # a larger one moves, as torch does it
    vs.measure(net, torch.randn(40, 3).split(10))
    assert [tensor.tolist() for tensor in net.held] == [[1.0] * 3] * 3 + [[1.0] * 4]
    assert [tensor.data_ptr() for tensor in net.held[1:]] == places
    assert torch.equal(net.odd[0], torch.ones(2, dtype=torch.cfloat))


def test_a_vocabulary_costs_a_pass_nothing():
    """Counted, not timed: what holds no tensor is not put back after every pass."""
    words = {str(index): [index] for index in range(5000)}
    assert Containers({"words": words}, set()).tensors == []
    shared = [torch.ones(1)]
    seen = set()
    assert len(Containers({"a": shared}, seen).tensors) == 1
    assert len(Containers({"b": shared}, seen).tensors) == 0  # another module's already


def seeded(net, seed):
    torch.manual_seed(seed)
    return vs.measure(net, loader()).sites


def test_measure_sees_them_as_it_sees_buffers():
    one, other = (seeded(net, 1) for net in (Listed(), Buffered()))
    assert list(one) == ["pair.0", "named.deep.mean"]
    assert list(other) == ["a", "c"]
    assert [s.shift for s in one.values()] == [s.shift for s in other.values()]


def test_recalibrate_writes_what_it_writes_into_buffers():
    net, twin = Listed(), Buffered()
    done, _ = vs.recalibrate(net, loader()), vs.recalibrate(twin, loader())
    held = net.named["deep"]
    written = (*net.pair, held["mean"], held["var"])
    expected = (twin.a, twin.b, twin.c, twin.d)
    assert all(torch.equal(a, b) for a, b in zip(written, expected, strict=True))
    done.undo()
    assert [t.unique().tolist() for t in (*net.pair, *held.values())] == [[0.0], [1.0]] * 2


def test_repair_keeps_what_helps():
    with steady(0):
        net = Listed()
        y = [x.sum(dim=1).gt(4).long() for x in loader(20)]
        data = list(zip(loader(20), y, strict=True))
        model = nn.Sequential(net)
        fitted = torch.optim.Adam(net.parameters(), lr=0.05)
        for x, label in data * 5:
            fitted.zero_grad()
            F.cross_entropy(model(x), label).backward()
            fitted.step()
    net.pair[1].mul_(20)
    repaired = vs.repair(model, data, method="recalibrate", seed=0)
    assert repaired.accepted
    assert net.pair[1].max() < 20


def test_a_tuple_takes_no_stand_in():
    class Tupled(Listed):
        def __init__(self):
            super().__init__()
            self.pair = tuple(self.pair)

    data = [(x, x[:, 0].gt(1).long()) for x in loader(20)]
    r = vs.repair(Tupled(), data, method="recalibrate", seed=0)
    assert "'pair.0' lies in a tuple" in r.candidates[0].reason
