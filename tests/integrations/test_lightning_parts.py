"""The callback's one import, and its exchange of statistics."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
import torch
from torch import nn

from problems.libraries import library
from varshift.errors import MissingExtraError

library("lightning")
import_module("varshift.integrations.lightning")
exchange = import_module("varshift.integrations.lightning.exchange")


def test_without_either_package_the_extra_is_named(monkeypatch):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "varshift.integrations.lightning.base")
    with pytest.raises(
        MissingExtraError, match=r"needs lightning.*pip install 'varshift\[lightning"
    ):
        import_module("varshift.integrations.lightning.base")


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_a_loss_from_before_an_evaluated_batch_is_run_backward_after(around):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    loss = model(torch.randn(9, 4)).square().mean()
    var, three = model[1].running_var, torch.full((8,), 3.0)
    own = var.clone()
    placed = exchange.Placed([(var, own)], [(var, three)])
    with around():
        placed.put_in()
        assert torch.equal(var, three)
        placed.put_back()
    assert torch.equal(var, own)
    loss.backward()
