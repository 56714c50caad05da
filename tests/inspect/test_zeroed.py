"""Dropout of rate 1 draws nothing; it is found by what is computed in its place."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import varshift as vs


class Net(nn.Module):
    def __init__(self, drop):
        super().__init__()
        self.drop, self.norm, self.noise = drop, nn.BatchNorm1d(4), nn.Dropout(0.5)

    def forward(self, x):
        return self.norm(self.noise(self.drop(x, self.training)))


def zeroed(structure):
    return [noise for noise in structure.noises if noise.drop_p == 1.0]


CALLS = {
    "F.dropout": lambda x, on: F.dropout(x, 1.0, on),
    "in place": lambda x, on: F.dropout(x + 1, 1.0, on, inplace=True),
    "torch.dropout": lambda x, on: torch.dropout(x, 1.0, on),
    "alpha": lambda x, on: F.alpha_dropout(x, 1.0, on),
    "channels": lambda x, on: F.dropout1d(x[:, :, None], 1.0, on)[:, :, 0],
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_dropout_of_everything_is_a_silent_noise_with_its_line(call):
    found = vs.inspect(Net(call), torch.randn(8, 4))
    (noise,) = zeroed(found)
    assert (noise.name, noise.active, noise.calls) == ("(model)", False, 0)
    assert noise.line.file == __file__
    assert "dropout" in noise.line.code
    assert "dropout" in noise.operation
    assert [n.name for n in found.noises if n.active] == ["noise"]


def test_drawing_noise_keeps_its_name():
    def both(x, on):
        return F.dropout(F.dropout(x, 1.0, on), 0.5, on)

    found = vs.inspect(Net(both), torch.randn(8, 4))
    assert [n.name for n in found.noises if n.active] == ["(model)", "noise"]
    assert [n.name for n in zeroed(found)] == ["(model)#2"]


def test_a_module_is_listed_once_and_a_plain_zero_is_none():
    silent = nn.Sequential(nn.Dropout(1.0), nn.BatchNorm1d(4))
    (noise,) = zeroed(vs.inspect(silent, torch.randn(8, 4)))
    assert noise.operation == "silent"
    plain = Net(lambda x, on: x * torch.zeros(()) + F.dropout(x, 0.0, on))
    assert zeroed(vs.inspect(plain, torch.randn(8, 4))) == []
    evaluated = Net(lambda x, on: F.dropout(x, 1.0, not on))
    assert zeroed(vs.inspect(evaluated, torch.randn(8, 4))) == []
