"""The modules of a model, against `named_modules()`."""

from __future__ import annotations

import torchvision
from torch import nn

from varshift._engine.borrow.walk import walk


def test_modules_are_those_of_torch_in_its_order():
    shared = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    nets = [
        nn.ReLU(),
        nn.Sequential(shared, nn.Sequential(shared, shared[0], nn.Tanh()), shared[1]),
        torchvision.models.resnet18(),
    ]
    nets[1].register_module("none", None)
    nets[1].add_module("again", nets[1][1])
    for net in nets:
        found, expected = walk(net), list(net.named_modules())
        assert [path for path, _ in found] == [path for path, _ in expected]
        assert all(one is other for (_, one), (_, other) in zip(found, expected, strict=True))


def test_a_model_that_holds_itself_ends():
    net = nn.Sequential(nn.ReLU())
    net[0].add_module("around", net)
    assert [path for path, _ in walk(net)] == ["", "0"]
