"""Noise modules that draw nothing: known by their class or its name and rate."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from varshift._engine.borrow.walk import walk
from varshift._engine.trace.noises import silent_noises


class Quiet(nn.Module):
    """Has a rate, and no state."""

    def __init__(self, **rates):
        super().__init__()
        for name, rate in rates.items():
            setattr(self, name, rate)

    def forward(self, x):
        return x


class DropConnect(Quiet):
    pass


class SharedNoise(Quiet):
    pass


class Weighted(Quiet):
    pass


def found(net, noisy=(), called=()):
    return {noise.path: noise for noise in silent_noises(walk(net), set(noisy), set(called))}


def test_one_that_looks_like_noise_is_told_with_all_that_is_known():
    (noise,) = found(nn.Sequential(DropConnect(drop_prob=0.3))).values()
    assert dataclasses.asdict(noise) == {
        **{"name": "0", "path": "0", "module": "DropConnect", "operation": "not reached"},
        **{"law": "unknown", "drop_p": 0.3, "tau": None, "sharing": "other", "active": False},
        **{"calls": 0, "line": None},
    }
    assert found(nn.Dropout(0.5))[""].name == "(model)"


@pytest.mark.parametrize(
    ("module", "rate"),
    [
        (nn.Dropout(0.25), 0.25),
        (nn.RReLU(), None),
        (DropConnect(p=0.0), 0.0),
        (DropConnect(rate=1), 1.0),
        (SharedNoise(dropout=0.1), 0.1),
        (SharedNoise(drop_rate=torch.tensor(0.5)), 0.5),
        (SharedNoise(drop_p="half", drop_rate=0.5), 0.5),
    ],
)
def test_rates(module, rate):
    assert found(nn.Sequential(module))["0"].drop_p == rate


@pytest.mark.parametrize(
    "module",
    [
        Weighted(p=0.3),  # not by its name
        DropConnect(),
        DropConnect(p=1.5),
        DropConnect(p=True),
        DropConnect(p=torch.tensor([0.1, 0.2])),
        nn.Sequential(),
    ],
)
def test_what_is_no_noise(module):
    assert found(nn.Sequential(module)) == {}


def test_what_holds_layers_or_weights_is_no_noise():
    outer, weights = DropConnect(p=0.3), DropConnect(p=0.3)
    outer.inner = nn.Linear(2, 2)
    weights.weight = nn.Parameter(torch.ones(2))
    assert found(nn.Sequential(outer, weights)) == {}


def test_why_it_was_silent():
    net = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5).eval(), nn.Dropout(0.0).eval())
    said = {path: noise.operation for path, noise in found(net, called="012").items()}
    assert said == {"0": "silent", "1": "in eval mode", "2": "silent"}
    assert {noise.operation for noise in found(net).values()} == {"not reached"}
    assert list(found(net, noisy="1")) == ["0", "2"]
