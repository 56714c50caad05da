"""How ranks name to each other the norms that wait."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

from varshift._engine.order import SiteOrder


class Loose(nn.Module):
    """Holds statistics for a norm that is called as a function."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("var", torch.ones(3))


def call(path, mean, var):
    return SimpleNamespace(path=path, arguments={"running_mean": mean, "running_var": var})


def test_a_norm_that_is_a_module_is_found_by_its_path_another_by_its_tensors():
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), Loose())
    order, norm, loose = SiteOrder(net), net[1], net[2]
    assert order.names(call("1", norm.running_mean, norm.running_var)) is None
    assert order.names(call("2", loose.mean, loose.var)) == ("2.mean", "2.var")
    assert order.names(call("2", loose.mean, torch.ones(3))) == ("2.mean", "")


def test_norms_wait_in_the_order_of_the_model():
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), Loose(), nn.BatchNorm1d(3))
    order = SiteOrder(net)
    assert sorted(["elsewhere", "3", "1", "aside"], key=order.place) == [
        "1",
        "3",
        "aside",
        "elsewhere",
    ]
    assert order.sites(lambda path: True) == order.sites(lambda path: path != "1") + 1
