"""Noise on constants: a table of sines, a first state of zeros. It acts on them as on data."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from varshift._engine.control import Silenced

STEPS, WIDTH, DROP_P = 10, 4, 0.3
TAU = DROP_P / (1 - DROP_P)


def table():
    at = torch.arange(STEPS, dtype=torch.float64)[:, None]
    return torch.sin(at / torch.arange(1.0, WIDTH + 1, dtype=torch.float64))


def dropped(x, on):
    return functional.dropout(x, DROP_P, on)


def masked(x, on):
    return x.masked_fill(torch.rand_like(x) < DROP_P, 0.0) / (1 - DROP_P) if on else x


def chosen(x, on):
    return torch.where(torch.rand_like(x) < DROP_P, 0.0, x) / (1 - DROP_P) if on else x


def dropped_by_zeros(x, on):
    if not on:
        return x
    return torch.where(torch.rand_like(x) < DROP_P, torch.zeros_like(x), x) / (1 - DROP_P)


def multiplied(x, on):
    return (torch.rand_like(x) > DROP_P) * x / (1 - DROP_P) if on else x


class Positions(nn.Module):
    """A norm behind data, and behind a fixed table that drops its values in training."""

    def __init__(self, draw, weights=None):
        super().__init__()
        self.draw, self.weights, self.norm = draw, weights, nn.BatchNorm1d(WIDTH)
        self.register_buffer("table", table())

    def forward(self, x):
        places = self.draw(self.table.expand(len(x), -1, -1), self.training)
        places = places if self.weights is None else self.weights(places)
        return self.norm((x + places).transpose(1, 2))


def data(batches=8):
    return [torch.randn(64, STEPS, WIDTH, dtype=torch.float64) for _ in range(batches)]


@pytest.mark.parametrize("draw", [dropped, masked, chosen, dropped_by_zeros, multiplied])
def test_the_share_of_noise_on_a_table_is_its_own(draw):
    """Var = v + τ·E[table²], E over the places; silenced, all of v is there."""
    torch.manual_seed(0)
    batches = data()
    x = vs.explain(Positions(draw).double(), batches)
    [name] = x.blame.noises
    v = (torch.cat(batches) + table()).flatten(0, 1).var(0)
    noise = TAU * table().square().mean(0)
    share = (noise / (v + noise)).mean().item()
    assert x.blame.silenced[name] == Silenced.BY_MEAN
    assert abs(x.blame.rest["norm"]) < 1e-9
    assert x.blame[name, "norm"] == pytest.approx(share, abs=5 * x.blame[name, "norm"].se)


def test_noise_on_a_table_that_meets_weights_is_silenced():
    torch.manual_seed(0)
    x = vs.explain(Positions(dropped, nn.Linear(WIDTH, WIDTH)).double(), data(4))
    assert not x.blame.unsilenced
    assert abs(x.blame.rest["norm"]) < 1e-9
    assert not [f for f in vs.check(Positions(dropped).double(), data=data(4)) if f.code == "VS108"]


class Stepping(nn.Module):
    """A state of zeros that passes dropout, weights and a norm at each step."""

    def __init__(self):
        super().__init__()
        self.drop, self.enter = nn.Dropout(DROP_P), nn.Linear(WIDTH, WIDTH)
        self.again, self.norm = nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH)

    def forward(self, x):
        state = x.new_zeros(len(x), WIDTH)
        for now in x.unbind(1):
            state = torch.tanh(self.norm(self.enter(now) + self.again(self.drop(state))))
        return state


def test_noise_on_a_first_state_of_zeros_is_silenced_there_and_later():
    torch.manual_seed(0)
    x = vs.explain(Stepping().double(), data(4))
    assert not x.blame.unsilenced
    assert x.blame.silenced["drop"] == Silenced.BY_MEAN
    assert abs(x.blame.rest["norm"]) < 1e-9


def test_a_constant_of_one_value_and_zeros_still_shapes_a_mask():
    """A mask beside padding that is always there is one mask, whatever it meets later."""

    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(WIDTH)
            self.register_buffer("kept", torch.tensor([1.0, 1.0, 1.0, 0.0]))

        def forward(self, x):
            mask = (torch.rand_like(x) > DROP_P) * self.kept / (1 - DROP_P)
            return self.norm(x * mask if self.training else x * self.kept)

    s = vs.inspect(Padded(), torch.randn(64, WIDTH))
    assert [noise.law for noise in s.noises] == ["unknown"]
