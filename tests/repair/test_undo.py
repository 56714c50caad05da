"""Ways back and copies: by name, whatever became of the tensors, and without the model's weight."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from importlib import import_module

import pytest
import torch
from torch import nn

import varshift as vs
from problems.noisy_nets import Mlp
from problems.settling import settled
from problems.shifted import pairs, shifted


def bits(net):
    return {
        name: t.detach().clone().contiguous().view(-1).view(torch.uint8)
        for name, t in net.state_dict().items()
    }


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def recalibrated(net):
    return vs.recalibrate(net, [x for x, _ in pairs("train", 200)])


def distilled(net):
    return vs.repair(net, pairs("train"), held_out=pairs("test"), method="distill")


@pytest.mark.parametrize("change", [recalibrated, distilled])
def test_undo_finds_tensors_that_were_converted(change):
    net = shifted("a", 0.7)
    before = bits(net)
    r = change(net)
    assert not same(bits(net), before)
    net.double()  # buffers are other tensors now, parameters hold other data
    r.undo()
    net.float()
    assert same(bits(net), before)  # float32 goes through float64 unharmed
    net.half()
    r.undo()
    expected = shifted("a", 0.7).half()
    assert same(bits(net), bits(expected))


def test_undo_reaches_every_place_of_a_shared_tensor():
    class Shares(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.one, self.two = nn.Dropout(0.5), nn.BatchNorm1d(4), nn.BatchNorm1d(4)
            for name in ("running_mean", "running_var"):
                self.two._buffers[name] = self.one._buffers[name]

        def forward(self, x):
            return self.one(self.drop(x))

    net = settled(Shares(), torch.randn(64, 4).split(16), 3)
    before = bits(net)
    r = vs.recalibrate(net, torch.randn(64, 4).split(16))
    net.double()
    assert net.one.running_mean is not net.two.running_mean
    r.undo()
    assert same(bits(net.float()), before)


def test_undo_says_what_it_cannot_put_back():
    net = Mlp()
    r = vs.recalibrate(net, torch.randn(64, 8).split(16))
    held = net.body[1].running_mean.clone()
    net.body[9] = nn.Identity()
    with pytest.raises(
        vs.UsageError, match=r"'body\.9\.running_mean' was changed and is no longer"
    ):
        r.undo()
    net.body[9] = nn.BatchNorm1d(7)
    with pytest.raises(vs.UsageError, match=r"had shape \(24,\) and now has \(7,\): nothing was"):
        r.undo()
    assert torch.equal(net.body[1].running_mean, held)  # all or nothing


@pytest.mark.parametrize("change", [recalibrated, distilled])
def test_results_are_pickled_and_copied_without_the_model(change):
    net = shifted("a", 0.7)
    r = change(net)
    for again in (pickle.loads(pickle.dumps(r)), copy.deepcopy(r), copy.copy(r)):
        assert again.to_dict() == r.to_dict()
        assert again.rows() == r.rows()
        with pytest.raises(vs.UsageError, match="loaded or copied"):
            again.undo()
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None
    with pytest.raises(vs.UsageError, match="model that was changed no longer exists"):
        r.undo()


def test_a_structure_is_pickled_without_its_model():
    net = Mlp()
    s = vs.inspect(net, torch.randn(8, 8))
    again = pickle.loads(pickle.dumps(s))
    assert again == s
    with pytest.raises(vs.UsageError, match=r"has no model .* inspect it again"):
        again.prove(again.routes[0])
    assert s.prove(s.routes[0])
    r = vs.replace(net, torch.randn(8, 8), 0.1)
    copied = pickle.loads(pickle.dumps(r))
    assert copied.to_dict() == r.to_dict()
    with pytest.raises(vs.UsageError, match="loaded or copied"):
        copied.undo()
    r.undo()
    assert net.body[3].p == 0.5


def test_an_error_after_the_write_takes_it_back(monkeypatch):
    net = shifted("a", 0.7)
    before = bits(net)

    def interrupted(*arguments):
        assert not same(bits(net), before)  # it has been written
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("varshift._repair.telling"), "why_kept", interrupted)
    with pytest.raises(KeyboardInterrupt):
        distilled(net)
    assert same(bits(net), before)


def test_the_bench_with_all_its_batches_goes_at_once():
    net, data = Mlp(), torch.randn(96, 8).split(16)
    settled(net, data, 3)
    gc.collect()
    gc.disable()
    try:
        vs.repair(net, data, kind="values", method="recalibrate")
        left = [type(held) for held in gc.get_objects()]
        ours = {
            kind.__name__
            for kind in left
            if str(kind.__module__).startswith(("varshift._repair", "varshift.results"))
        }
        assert not ours & {"Bench", "Trials"}  # by counting references alone: they are in no cycle
    finally:
        gc.enable()


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("changes", [(recalibrated, recalibrated), (recalibrated, distilled)])
def test_two_changes_are_undone_in_either_order(changes, first):
    net = shifted("a", 0.7)
    before = bits(net)
    ways = [changes[0](net)]
    with torch.no_grad():
        net.stem.weight.mul_(1.1)  # so that the second finds other statistics
    ways.append(changes[1](net))
    with torch.no_grad():
        net.stem.weight.copy_(shifted("a", 0.7).stem.weight)
    ways[first].undo()
    ways[1 - first].undo()
    assert same(bits(net), before)


def test_what_training_left_between_two_changes_is_what_the_second_finds():
    net, data = Mlp(), torch.randn(96, 8).split(16)
    one = vs.recalibrate(net, data)
    net.train()(data[0])
    trained = bits(net)
    two = vs.recalibrate(net, data)
    two.undo()
    assert same(bits(net), trained)
    two = vs.recalibrate(net, data)
    one.undo()
    two.undo()
    assert same(bits(net), trained)
