"""What stands in for a parameter is one, and asks for no gradient."""

from __future__ import annotations

import torch
from torch import nn

from varshift._engine.edits import Edit


def test_a_stand_in_of_a_parameter_asks_for_no_gradient():
    net = nn.Linear(2, 2, bias=False)
    own = net.weight
    with Edit({"weight": torch.zeros(2, 2)}).standing_in(net):
        assert isinstance(net.weight, nn.Parameter)
        assert not net.weight.requires_grad
        assert not net(torch.ones(1, 2)).requires_grad
        assert [name for name, _ in net.named_parameters()] == ["weight"]
    assert net.weight is own
    assert own.requires_grad
