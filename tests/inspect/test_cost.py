"""What inspecting does no more often than it must, in counts that hold on any processor."""

from __future__ import annotations

import gc
import sys

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine import sites
from varshift._engine.unread import Vectors


def net():
    return nn.Sequential(
        nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU()
    )


def test_modules_are_looked_for_once(monkeypatch):
    looked, hidden = [], sites.hidden
    monkeypatch.setattr(sites, "hidden", lambda found: looked.append(0) or hidden(found))
    assert vs.inspect(net(), torch.randn(3, 4)).routes
    assert len(looked) == 1


@pytest.mark.parametrize(("model", "copied"), [(net(), 0), (nn.Linear(4, 2), 1)])
def test_small_tensors_are_copied_only_where_there_is_no_norm(monkeypatch, model, copied):
    made = []

    def counted(held):
        made.append(Vectors(held))
        return made[-1]

    monkeypatch.setattr(sys.modules["varshift._engine.around"], "Vectors", counted)
    vs.inspect(model, torch.randn(3, 4))
    assert len(made) == copied


@pytest.mark.parametrize("enabled", [True, False])
def test_no_reference_cycles_are_looked_for_meanwhile_and_then_as_before(enabled):
    seen = []

    class Asks(nn.Module):
        def forward(self, x):
            seen.append(gc.isenabled())
            return x

    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        vs.inspect(nn.Sequential(Asks(), net()), torch.randn(3, 4))
        assert seen == [False]
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
